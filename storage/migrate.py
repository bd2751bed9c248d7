"""Migrations of the database's schema, up and down."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from storage.database import Database
from storage.errors import StorageError, StorageUnavailable

FOLDER: Final = Path(__file__).with_name("migrations")

LOCK: Final = 0x4157_5A54
"""Key of the PostgreSQL advisory lock that migrations hold."""

_TURN: Final = threading.Lock()
_POLL_SECONDS: Final = 0.01


def head_revision() -> str:
    """Return the revision that this version of the code needs."""
    return str(ScriptDirectory(str(FOLDER)).get_current_head())


async def current_revision(database: Database) -> str | None:
    """Return the database's revision; ``None`` if it is empty.

    Raises:
        StorageUnavailable: The database is unavailable.
    """
    async with database.read() as session:
        connection = await session.connection()
        return await connection.run_sync(_revision)


async def upgrade(database: Database, revision: str = "head") -> str | None:
    """Migrate up, in one transaction; safe if several processes do so concurrently.

    Args:
        database: The database to migrate.
        revision: The revision to reach.

    Returns:
        The previous revision.

    Raises:
        StorageError: The revision does not exist.
        StorageUnavailable: The database is unavailable, or newer than this version.
    """
    return await _run(database, lambda config: command.upgrade(config, revision))


async def downgrade(database: Database, revision: str) -> str | None:
    """Migrate down, in one transaction; ``base`` drops everything.

    Returns:
        The previous revision.

    Raises:
        StorageUnavailable: The database is unavailable.
    """
    return await _run(database, lambda config: command.downgrade(config, revision))


async def check(database: Database) -> None:
    """Check that the database's schema belongs to this version.

    Raises:
        StorageUnavailable: The schema is older or newer, or the database is unavailable.
    """
    current, head = await current_revision(database), head_revision()
    if current != head:
        reason = f"its tables are at revision {current or 'none'}, not {head}; run `awaaztwin db upgrade`"
        raise StorageUnavailable("database", reason, retry_after=30.0)


async def _run(database: Database, work: Callable[[Config], None]) -> str | None:
    def migrate(connection: Connection) -> str | None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        before = _revision(connection)
        known = {script.revision for script in ScriptDirectory(str(FOLDER)).walk_revisions()}
        if before is not None and before not in known:
            raise StorageUnavailable(
                "database", f"its tables belong to a newer version (revision {before})", retry_after=30.0
            )
        config = Config()
        config.set_main_option("script_location", str(FOLDER))
        config.attributes["connection"] = connection
        try:
            work(config)
        except CommandError as error:
            raise StorageError(str(error)) from error
        return before

    # Migrations may take longer than requests.
    async with asyncio.timeout(600), _turn(), database.write() as session:
        connection = await session.connection()
        return await connection.run_sync(migrate)


@asynccontextmanager
async def _turn() -> AsyncGenerator[None, None]:
    """Run one migration at a time: Alembic's ``context`` and ``op`` are global to the process."""
    # An asyncio lock works in one event loop only, and waiting for a threading lock would block the loop.
    while not _TURN.acquire(blocking=False):  # noqa: ASYNC110 - as above
        await asyncio.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        _TURN.release()


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
