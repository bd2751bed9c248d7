"""Operations on the database without a server, for the command line."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from services.config import Settings
from services.errors import ApiError
from services.gate import DatabaseGate
from services.retention import RetentionReport, run_retention
from services.tenancy.administration import Administration
from services.tenancy.authenticator import LOCAL
from services.tenancy.origin import CLI
from services.tenancy.passwords import Passwords
from storage import backup, migrate
from storage.database import Database
from storage.errors import Conflict, StorageError
from storage.objects.choose import open_object_store
from storage.objects.erase import erase_org

Result = TypeVar("Result")


class Refused(Exception):  # noqa: N818 - named for the state
    """The operation was refused or failed. The message is for the user."""


def administer(settings: Settings, work: Callable[[Administration], Awaitable[Result]]) -> Result:
    """Run ``work`` in a write transaction.

    Raises:
        Refused: The work was refused or failed.
    """
    return _administered(settings, DatabaseGate.write, work)


def consult(settings: Settings, work: Callable[[Administration], Awaitable[Result]]) -> Result:
    """Run ``work`` in a read transaction, which does not block writers.

    Raises:
        Refused: The work was refused or failed.
    """
    return _administered(settings, DatabaseGate.read, work)


def hash_password(password: str, about: Sequence[str]) -> str:
    """Hash a new password. Call it before opening a transaction, since it is slow.

    Args:
        password: The new password.
        about: Public facts about its owner, which add no strength to it.

    Raises:
        Refused: The password is too weak.
    """

    async def run() -> str:
        return await Passwords().hash(password, about=about)

    return _run(run)


def delete_org(settings: Settings, id_or_name: str) -> str:
    """Delete a tenant with all its rows and objects; return its name.

    Raises:
        Refused: The deletion failed. If it was interrupted, the tenant stays locked, and it can be repeated.
    """

    async def run() -> str:
        async with (
            Database(_address(settings)) as database,
            open_object_store(settings.storage.object_store) as objects,
        ):
            gate = DatabaseGate(database, settings)
            async with gate.write() as session:
                admin = _administration(session, settings)
                org = await admin.lock_for_good((await admin.find_org(id_or_name)).id)
            await erase_org(objects, org.id)
            async with gate.write() as session:
                await _administration(session, settings).delete_org(org.id)
            return org.name

    return _run(run)


def retain(settings: Settings, *, dry_run: bool) -> RetentionReport:
    """Delete expired data of all tenants, or only count it.

    Raises:
        Refused: The deletion failed; the rest remains for the next call.
    """

    async def run() -> RetentionReport:
        async with (
            Database(_address(settings)) as database,
            open_object_store(settings.storage.object_store) as objects,
        ):
            gate = DatabaseGate(database, settings)
            return await run_retention(gate, objects, settings.retention, dry_run=dry_run)

    return _run(run)


def upgrade(settings: Settings, revision: str) -> tuple[str | None, str | None]:
    """Upgrade the schema to ``revision``; return the revisions before and after.

    Raises:
        Refused: The migration failed.
    """

    async def run() -> tuple[str | None, str | None]:
        async with Database(_address(settings)) as database:
            return await migrate.upgrade(database, revision), await migrate.current_revision(database)

    return _run(run)


def downgrade(settings: Settings, revision: str) -> tuple[str | None, str | None]:
    """Downgrade the schema to ``revision``; return the revisions before and after.

    Raises:
        Refused: The migration failed.
    """

    async def run() -> tuple[str | None, str | None]:
        async with Database(_address(settings)) as database:
            return await migrate.downgrade(database, revision), await migrate.current_revision(database)

    return _run(run)


def copy(settings: Settings, target: Path) -> None:
    """Back the database up to a file.

    Raises:
        Refused: The file exists, or the backup failed.
    """

    async def run() -> None:
        try:
            await backup.backup(_address(settings), target)
        except FileExistsError as error:
            raise Refused(f"{target} already exists.") from error

    _run(run)


def _administered(
    settings: Settings,
    transaction: Callable[[DatabaseGate], AbstractAsyncContextManager[AsyncSession]],
    work: Callable[[Administration], Awaitable[Result]],
) -> Result:
    async def run() -> Result:
        async with (
            Database(_address(settings)) as database,
            transaction(DatabaseGate(database, settings)) as session,
        ):
            return await work(_administration(session, settings))

    return _run(run)


def _administration(session: AsyncSession, settings: Settings) -> Administration:
    return Administration(session, settings.quota, CLI, by=LOCAL)


def _run(work: Callable[[], Awaitable[Result]]) -> Result:
    async def awaited() -> Result:
        return await work()

    try:
        return asyncio.run(awaited())
    except ApiError as error:
        raise Refused(error.body.message) from error
    except Conflict as error:
        raise Refused(error.message) from error
    except StorageError as error:
        raise Refused(str(error)) from error


def _address(settings: Settings) -> str:
    return settings.storage.db_url.get_secret_value()
