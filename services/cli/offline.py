"""Access from commands to the database, if the server's packages are installed."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from services.cli.console import CommandError
from services.cli.requirements import INSTALL_SERVER, missing
from services.config import Settings, load_settings

if TYPE_CHECKING:
    from services.tenancy.administration import Administration

Result = TypeVar("Result")


def administer(config: Path | None, work: "Callable[[Administration], Awaitable[Result]]") -> Result:
    """Run ``work`` in one transaction on the configured database.

    Raises:
        CommandError: The work failed, and nothing was changed.
    """
    with opened(config) as (offline, settings):
        return cast("Result", offline.administer(settings, work))


def consult(config: Path | None, work: "Callable[[Administration], Awaitable[Result]]") -> Result:
    """Run read-only ``work`` on the configured database.

    Raises:
        CommandError: Packages are missing, or the operation was refused.
    """
    with opened(config) as (offline, settings):
        return cast("Result", offline.consult(settings, work))


def hash_password(config: Path | None, password: str, *about: str) -> str:
    """Return the hash of a new password. Call it before the transaction that stores the hash.

    Args:
        config: The settings file.
        password: The new password.
        about: Public facts about its owner, which it must not resemble.

    Raises:
        CommandError: The password is too weak.
    """
    with opened(config) as (offline, _):
        return cast("str", offline.hash_password(password, about))


@contextmanager
def opened(config: Path | None) -> Generator[tuple[Any, Settings], None, None]:
    """Give :mod:`services.offline` and the settings; turn errors into errors of commands.

    Raises:
        CommandError: Packages are missing, or the operation was refused.
    """
    if absent := missing():
        raise CommandError(f"Packages are missing: {', '.join(absent)}.", INSTALL_SERVER)
    offline = _offline()
    try:
        yield offline, load_settings(config).settings
    except offline.Refused as error:
        raise CommandError(str(error)) from error


def _offline() -> ModuleType:
    from services import offline  # noqa: PLC0415 - the base installation cannot import it

    return offline
