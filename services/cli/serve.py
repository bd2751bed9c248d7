"""``awaaztwin serve``: checks the surroundings, and replaces itself by BentoML's server."""

import importlib.util
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, NoReturn
from urllib.parse import urlsplit

import typer

from services.cli.config import ConfigOption
from services.cli.console import INTERRUPTED, CommandError, messages, reported
from services.cli.models_pull import offer
from services.cli.port import AddressError, check_free, owner, readiness, resolve
from services.cli.requirements import INSTALL_SERVER, missing
from services.cli.url import server_url
from services.config import LoadedSettings, Settings, load_settings
from services.config.variables import FILE_VARIABLE, variable_name

TARGET: Final = "services.bento:Gateway"

_HOST: Final = variable_name(("server", "host"))


PACKAGES: Final = ("services", "engines", "storage")
"""Our packages; BentoML searches the working directory first."""


@reported()
def serve(
    *,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on; by default server.host.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=1, max=65_535, help="Port to listen on; by default server.port."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Start the server: the Gateway and a runner for each engine. Ctrl-C stops it."""
    if absent := missing():
        raise CommandError(f"The server lacks packages: {', '.join(absent)}.", INSTALL_SERVER)
    _refuse_shadows(Path.cwd())
    environment = serving_environment(os.environ, host=host, port=port, config=config)
    loaded = load_settings(environ=environment)
    settings = loaded.settings
    try:
        address = resolve(settings.server.host)
        check_free(address, settings.server.port)
    except AddressError as error:
        raise _unusable(error, settings) from error
    _prepare(loaded, environment)
    offer(settings)
    # BentoML accepts no host names, neither here nor in a service's settings.
    environment[_HOST] = address
    _announce(address, settings, environment)
    _become(serving_command(address, settings), environment)


def serving_environment(
    environ: Mapping[str, str], *, host: str | None, port: int | None, config: Path | None
) -> dict[str, str]:
    """Return the environment of the server's processes, so that all of them load the same settings.

    Args:
        environ: The environment to start from.
        host: Overrides ``server.host``.
        port: Overrides ``server.port``.
        config: Overrides ``AWAAZTWIN_CONFIG``.
    """
    overrides = {
        _HOST: host,
        variable_name(("server", "port")): None if port is None else str(port),
        FILE_VARIABLE: None if config is None else str(config.expanduser().absolute()),
    }
    given = {name: value for name, value in overrides.items() if value is not None}
    # BentoML would report each start to its vendor.
    return {**environ, **given, "BENTOML_DO_NOT_TRACK": "True"}


def serving_command(address: str, settings: Settings) -> list[str]:
    """Return the command that runs the server.

    Args:
        address: The IP address to listen on.
        settings: The settings.
    """
    server = settings.server
    # BentoML accepts whole seconds, and no value for "forever".
    seconds = {
        "--timeout-keep-alive": server.keep_alive_seconds,
        "--timeout-graceful-shutdown": server.shutdown_grace_seconds,
    }
    timeouts = [part for name, value in seconds.items() for part in (name, str(max(1, math.ceil(value))))]
    where = ["--host", address, "--port", str(server.port)]
    return [sys.executable, "-m", "bentoml", "serve", TARGET, *where, *timeouts]


def _prepare(loaded: LoadedSettings, environment: dict[str, str]) -> None:
    """Check that the server's folders are writable; move BentoML's own files if necessary."""
    # The base installation can import neither.
    from services.folders import BENTOML_HOME, FolderError, bentoml_home, prepare_folders  # noqa: PLC0415
    from services.host.folder import RuntimeFolderError  # noqa: PLC0415 - as above

    try:
        prepare_folders(loaded)
        other = bentoml_home(environment, loaded.settings)
    except (FolderError, RuntimeFolderError) as error:
        raise CommandError(str(error)) from error
    if other is not None:
        if named := environment.get(BENTOML_HOME):
            messages().print(f"{named} ({BENTOML_HOME}) is not writable; using {other}.")
        environment[BENTOML_HOME] = str(other)


def _refuse_shadows(folder: Path) -> None:
    """Reject a working directory with packages that would shadow ours."""
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        ours = None if spec is None or spec.origin is None else Path(spec.origin)
        for other in (folder / package / "__init__.py", folder / f"{package}.py"):
            if other.is_file() and (ours is None or not other.samefile(ours)):
                message = f"{other} would shadow a part of AwaazTwin that has the same name."
                raise CommandError(
                    message, "Start the server in another folder, and pass the settings with --config."
                )


def _unusable(error: AddressError, settings: Settings) -> CommandError:
    if not error.in_use:
        return CommandError(f"{error}.", "Choose another with --host or --port.")
    server = settings.server
    url = server_url(server.host, server.port)
    if readiness(urlsplit(url).hostname or "", server.port):
        return CommandError(
            f"An AwaazTwin server is already running: {url}", "A second one needs another --port."
        )
    who = owner(server.port)
    message = f"{error} by {who}." if who else f"{error} by another program."
    return CommandError(message, "Stop it, or choose another port with --port.")


def _announce(address: str, settings: Settings, environment: Mapping[str, str]) -> None:
    """Start the process that reports when the server is ready; see :mod:`services.cli.announce`."""
    reachable = urlsplit(server_url(address, settings.server.port)).hostname or address
    docs = ["--docs"] if settings.server.docs_enabled else []
    command = [sys.executable, "-m", "services.cli.announce", reachable, str(settings.server.port), *docs]
    subprocess.Popen(command, stdin=subprocess.DEVNULL, env=dict(environment))  # noqa: S603 - our own module


def _become(command: list[str], environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by a command.

    Signals then reach the server directly, and its exit status is this process's.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        os.execve(command[0], command, environment)  # noqa: S606 - our own interpreter
    # Windows' exec starts another process and ends this one, so that a shell would continue.
    with subprocess.Popen(command, env=dict(environment)) as child:  # noqa: S603 - our own interpreter
        try:
            status = child.wait()
        except KeyboardInterrupt:
            # The console signals the child as well.
            child.wait(timeout=60)
            status = INTERRUPTED
    raise typer.Exit(status)
