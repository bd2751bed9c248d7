"""Checks of the port, the folders, the database, Redis, the object store and remote runners."""

import os
import shlex
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

from services.cli.checkup.finding import CheckResult, ok, problem, skipped, warning
from services.cli.port import AddressError, check_free, owner, readiness, resolve
from services.cli.requirements import missing
from services.cli.url import server_url
from services.config import LoadedSettings, Settings
from services.config.mask import mask_url
from storage.objects.contract import MIN_FREE
from storage.private import is_exposed

CONNECT_TIMEOUT: Final = 3.0
SCARCE: Final = 1_000_000_000
"""Free disk space in bytes below which there is a warning."""

DEFAULT_PORTS: Final[Mapping[str, int]] = {
    "postgresql": 5432,
    "postgresql+asyncpg": 5432,
    "redis": 6379,
    "rediss": 6379,
    "http": 80,
    "https": 443,
}


def port(settings: Settings) -> CheckResult:
    """Check that the server can listen, or is already running."""
    subject = "Port"
    server = settings.server
    url = server_url(server.host, server.port)
    try:
        check_free(resolve(server.host), server.port)
    except AddressError as error:
        if not error.in_use:
            return problem(subject, str(error), "Change server.host and server.port.")
    else:
        return ok(subject, f"{url} is free; `awaaztwin serve` starts the server")
    ready = readiness(urlsplit(url).hostname or "", server.port)
    if ready is None:
        who = owner(server.port) or "another program"
        return problem(subject, f"{url} is used by {who}", "Stop it, or change server.port.")
    if ready["status"] == "ok":
        return ok(subject, f"AwaazTwin is running at {url}, and all its parts are ready")
    return warning(subject, f"AwaazTwin is running at {url}: {_unready(ready)}", "See `awaaztwin engines`.")


def _unready(ready: Mapping[str, object]) -> str:
    parts = cast("Mapping[str, Any]", ready["parts"])
    engines = cast("Mapping[str, Mapping[str, Any]]", parts.get("engines", {}))
    reasons = [f"{n} is {e.get('state')} ({e.get('reason')})" for n, e in engines.items() if not e["ready"]]
    return "; ".join(reasons) or str(ready["status"])


def stores(settings: Settings) -> Iterator[CheckResult]:
    """Check the database, Redis and the object store, if configured."""
    storage = settings.storage
    database = storage.db_url.get_secret_value()
    if database.startswith("sqlite"):
        path = urlsplit(database).path.removeprefix("/")
        if path and path != ":memory:":
            yield _folder("Database", Path(unquote(path)).parent)
        else:
            yield ok("Database", "SQLite in memory")
    else:
        yield _reachable("Database", database, "storage.db_url")
    if storage.redis_url is None:
        yield skipped("Redis", "not configured; queues and caches are in process")
    else:
        yield _reachable("Redis", storage.redis_url.get_secret_value(), "storage.redis_url")
    store = storage.object_store
    if store.type == "folder":
        yield _folder("Object store", store.path)
    elif store.endpoint_url is not None:
        yield _reachable("Object store", store.endpoint_url, "storage.object_store.endpoint_url")
    else:
        yield skipped("Object store", "Amazon S3; contacted only when it is used")


def privacy(loaded: LoadedSettings) -> Iterator[CheckResult]:
    """Check that other users cannot read the data and the secrets; on POSIX systems only."""
    if os.name != "posix" or missing():
        return
    from services.folders import private_paths  # noqa: PLC0415 - the base installation cannot import it

    exposed = [str(path) for path in private_paths(loaded) if is_exposed(path)]
    if exposed:
        names = ", ".join(exposed)
        yield warning(
            "Privacy", f"other users of this machine can read {names}", f"chmod go-rwx {shlex.join(exposed)}"
        )
    else:
        yield ok("Privacy", "no other user of this machine can read the data or the secrets")


def runners(settings: Settings) -> Iterator[CheckResult]:
    """Check the runners on other hosts."""
    for engine in settings.enabled_engines:
        if engine.url is not None:
            yield _reachable(f"Runner of {engine.name}", engine.url, f"engines.{engine.name}.url")


def _folder(subject: str, folder: Path) -> CheckResult:
    """Check that a folder can be written or created, and its free space."""
    folder = folder.absolute()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not there.is_dir():
        return problem(subject, f"{there} is not a folder", "Move it away, or change the setting.")
    if not os.access(there, os.W_OK | os.X_OK):
        return problem(subject, f"{there} cannot be written", "Change its owner, or the setting.")
    free = shutil.disk_usage(there).free
    message = f"{folder}, {free / 1e9:.1f} GB free"
    if free < MIN_FREE:
        return problem(subject, message, "Make room.")
    return warning(subject, message, "Free some disk space soon.") if free < SCARCE else ok(subject, message)


def _reachable(subject: str, url: str, key: str) -> CheckResult:
    """Check that something listens at a URL; credentials are not checked."""
    shown = mask_url(url)
    remedy = f"Start it, or change {key}."
    try:
        _connect(url)
    except (OSError, ValueError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return problem(subject, f"{shown} cannot be reached: {reason}", remedy)
    return ok(subject, f"{shown} can be reached")


def _connect(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(CONNECT_TIMEOUT)
            connection.connect(unquote(parts.netloc + parts.path))
        return
    where = parts.hostname or "localhost", parts.port or DEFAULT_PORTS[parts.scheme]
    with socket.create_connection(where, CONNECT_TIMEOUT):
        pass
