"""``awaaztwin models``: fetches, verifies and removes the weights of engines."""

from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from services.cli.config import ConfigOption
from services.cli.console import FAILED, CommandError, messages, output, print_json, reported
from services.cli.models_pull import fetch, later, model_errors, put_off, remember, require_server
from services.config import ConfigError, load_settings
from services.models.catalogue import Catalogue, catalogue
from services.models.errors import ModelError, reason_of
from services.models.folder import ModelFolder, ModelState
from services.models.manifest import Manifest

if TYPE_CHECKING:
    from services.models.pull import Pulled

app = typer.Typer(help="Fetch, check and remove the weights of engines.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The model; `awaaztwin models list` lists them.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

STYLES = {ModelState.PRESENT: "green", ModelState.INCOMPLETE: "yellow", ModelState.ABSENT: ""}


@app.command("list")
@reported()
def list_(*, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the models: which engine uses each, and whether it is installed."""
    models, folder = _opened(config)
    if as_json:
        print_json([_facts(manifest, folder) for manifest in models])
        return
    table = Table("Model", "What", "Engine", "Licence", "Size", "State")
    for manifest in models:
        state = folder.state(manifest)
        table.add_row(
            Text(manifest.name),
            Text(manifest.title),
            Text(manifest.engine or ""),
            Text(manifest.license + (" (to be accepted)" if manifest.notice else "")),
            Text(f"{manifest.size / 1e6:,.0f} MB"),
            Text(state, STYLES[state]),
        )
    output().print(table)
    messages().print(Text(f"They are kept in {folder.root}."))


@app.command()
@reported()
def pull(
    name: NameArgument,
    *,
    accept_license: Annotated[
        str | None,
        typer.Option("--accept-license", help="Name of the licence you accept, where one is required."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Fetch files again even if present.")] = False,
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="For scripts: skip it if present, declined, or failed within a day; never fails.",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing unless it fails.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Fetch a model. An interrupted fetch resumes; every file is verified."""
    with _in_a_line(name) if once else nullcontext():
        models, folder = _opened(config)
        with model_errors():
            manifest = models.find(name)
        if once and folder.state(manifest) is ModelState.PRESENT:
            return
        if once and put_off(manifest, folder):
            messages().print(Text(later(manifest)))
            return
        try:
            done = fetch(manifest, folder, quiet=quiet or as_json, accept=accept_license, force=force)
        except Exception as error:
            # `--once` records any failure and continues.
            if once:
                remember(folder.failed(manifest))
                messages().print(Text(later(manifest, _reason(error))))
                return
            if isinstance(error, ModelError):
                raise CommandError(error.message, error.hint) from error
            raise
        _report(done, manifest, folder, quiet=quiet, as_json=as_json)


@contextmanager
def _in_a_line(name: str) -> Generator[None, None, None]:
    """Turn any exception into one line of output, and continue: scripts rely on it."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - that is what `--once` promises
        messages().print(Text(f"The model {name} was not fetched: {_reason(error)}"))


def _reason(error: Exception) -> str:
    if isinstance(error, CommandError):
        return error.message
    if isinstance(error, ConfigError):
        return f"the settings cannot be used: {error.problems[0]}"
    return reason_of(error)


def _report(done: "Pulled", manifest: Manifest, folder: ModelFolder, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        print_json({**_facts(manifest, folder), "fetched": done.fetched, "reasons": list(done.reasons)})
        return
    if quiet:
        return
    if done.fetched:
        told = f"Fetched {_files(done.fetched)}"
    else:
        told = "The model is present; nothing was fetched" if done.lacking else "Everything is present"
    messages().print(Text(f"{told}: {done.folder}"))
    if done.lacking:
        why = f" ({'; '.join(done.reasons)})" if done.reasons else ""
        number = len(done.lacking)
        messages().print(Text(f"{number} optional {'file is' if number == 1 else 'files are'} missing{why}."))


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"


@app.command()
@reported()
def verify(
    name: Annotated[str | None, typer.Argument(help="The model; by default all that are installed.")] = None,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Verify every byte of the models against its manifest; damage makes the exit status 1."""
    models, folder = _opened(config)
    with model_errors():
        if name is not None:
            wanted = [models.find(name)]
        else:
            wanted = [manifest for manifest in models if folder.state(manifest) is not ModelState.ABSENT]
        damaged = {
            manifest.name: [{"path": f.path, "problem": p} for f, p in folder.damaged(manifest)]
            for manifest in wanted
        }
    if as_json:
        print_json(damaged)
    else:
        _tell(damaged, {m.name: m.acceptance for m in wanted})
    if any(damaged.values()):
        raise typer.Exit(FAILED)


@app.command()
@reported()
def remove(name: NameArgument, *, config: ConfigOption = None) -> None:
    """Remove a model, and what is left of an interrupted fetch."""
    models, folder = _opened(config)
    require_server()
    from services.models.removal import remove as remove_model  # noqa: PLC0415 - in the extra `server`

    with model_errors():
        removed = remove_model(models.find(name), folder)
    for link in removed.links:
        messages().print(Text(f"Removed the link {link}; its target is unchanged."))
    if removed.freed or not removed.found:
        freed = f"Freed {removed.freed / 1e6:,.0f} MB."
        messages().print(Text(freed if removed.found else f"{name} was not installed."))


@app.command()
@reported()
def path(
    name: Annotated[str | None, typer.Argument(help="The model; by default the folder of all.")] = None,
    *,
    config: ConfigOption = None,
) -> None:
    """Print the folder of a model, installed or not."""
    models, folder = _opened(config)
    with model_errors():
        typer.echo(folder.root if name is None else folder.path(models.find(name)))


def _opened(config: ConfigOption) -> tuple[Catalogue, ModelFolder]:
    settings = load_settings(config).settings
    with model_errors():
        return catalogue(settings), ModelFolder(settings.models.folder)


def _facts(manifest: Manifest, folder: ModelFolder) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "title": manifest.title,
        "engine": manifest.engine,
        "license": manifest.license,
        "notice": manifest.notice,
        "bytes": manifest.size,
        "state": folder.state(manifest),
        "folder": str(folder.path(manifest)),
        "lacking": [file.path for file in folder.lacking(manifest)],
    }


def _tell(damaged: dict[str, list[dict[str, str]]], more: dict[str, str]) -> None:
    """Print the damaged files, and how to fetch them again with the options that each model needs."""
    for name, problems in damaged.items():
        if not problems:
            output().print(Text(f"{name}: intact", "green"))
            continue
        for problem in problems:
            output().print(Text(f"{name}: {problem['path']} {problem['problem']}", "red"))
        messages().print(Text(f"Fetch it again: awaaztwin models pull {name} --force{more[name]}"))
    if not damaged:
        messages().print(Text("No model is installed."))
