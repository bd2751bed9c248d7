"""The database: SQLite for one machine, PostgreSQL for many."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from storage import sqlite
from storage.errors import StorageUnavailable, scarce
from storage.private import make_private_folder, private_opener
from storage.transactions import writing

DRIVERS: Final = {
    "sqlite": sqlite.DRIVER,
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}

POOL_SIZE: Final = 10
"""Connections of one process."""

CLOSING_SECONDS: Final = 3.0
"""Seconds that all connections may take to be closed."""

MIN_FREE: Final = 16_000_000
"""Bytes of disk that SQLite needs for what it writes before it takes it into its file."""

PING_TIMEOUT_SECONDS: Final = 2.0
"""Seconds in which a healthy database answers."""


def database_url(address: str) -> URL:
    """The address with the asynchronous driver of its database."""
    url = make_url(address)
    return url.set(drivername=DRIVERS.get(url.get_backend_name(), url.drivername))


class Database:
    """Gives sessions, each one transaction. Use as an asynchronous context manager.

    Args:
        address: Such as ``sqlite:///data/awaaztwin.db`` or ``postgresql://user:password@host/name``.
        timeout: Seconds to wait for a connection, a lock, or the answer to a statement.
    """

    def __init__(self, address: str, *, timeout: float = 5.0) -> None:
        self.url = database_url(address)
        self.timeout = timeout
        self._engine: AsyncEngine | None = None

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite."""
        return self.url.get_backend_name() == "sqlite"

    async def __aenter__(self) -> Self:
        """Make the pool; nothing is connected yet, so that an absent database is no reason not to start."""
        self._engine = self._make_engine()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections; those whose server does not answer any more are left to it."""
        if self._engine is not None:
            try:
                async with asyncio.timeout(CLOSING_SECONDS):
                    await self._engine.dispose()
            except TimeoutError:
                # Each of them would wait for its own time-out, one after the other.
                await self._engine.dispose(close=False)
            self._engine = None

    @property
    def connections(self) -> int:
        """How many transactions there may be at once; one more waits."""
        return POOL_SIZE if self.is_sqlite else 2 * POOL_SIZE

    @property
    def engine(self) -> AsyncEngine:
        """SQLAlchemy's engine."""
        if self._engine is None:
            raise StorageUnavailable("database", "it is closed")
        return self._engine

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession, None]:
        """A transaction that reads.

        Raises:
            StorageUnavailable: The database is away.
        """
        with _unavailable():
            async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncSession, None]:
        """A transaction that writes: committed at the end of the block, undone if it raises.

        On SQLite it holds the only write lock from its first statement on, since a transaction that reads
        first and then writes would fail as soon as another has written between. So nothing slow is done in
        it; see :mod:`storage.transactions`.

        Raises:
            StorageUnavailable: The database is away.
        """
        with _unavailable(), writing():
            engine = self.engine.execution_options(writes=True)
            async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
                yield session

    async def ping(self) -> None:
        """Ask whether it answers.

        Raises:
            StorageUnavailable: It does not; with the reason.
        """
        with _unavailable():
            async with asyncio.timeout(PING_TIMEOUT_SECONDS), self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))

    async def check_space(self) -> None:
        """Ask whether there is room on the disk for what is written next, where the database is a file.

        A write alone does not tell: SQLite writes over what it has no more use for, until it needs more.

        Raises:
            StorageUnavailable: There is less than :data:`MIN_FREE`.
        """
        if self.is_sqlite and (file := self.file) is not None:
            folder = file.parent
            with _unavailable():
                free = (await asyncio.to_thread(shutil.disk_usage, folder)).free
            if free < MIN_FREE:
                raise StorageUnavailable("database", scarce("storage.db_url", folder, free, MIN_FREE))

    @property
    def file(self) -> Path | None:
        """SQLite's; ``None`` when it is in memory, or the database is on a server."""
        name = self.url.database
        return Path(name).absolute() if self.is_sqlite and name and name != ":memory:" else None

    def _make_engine(self) -> AsyncEngine:
        if not self.is_sqlite:
            arguments: dict[str, Any] = {"timeout": self.timeout, "command_timeout": self.timeout}
            return create_async_engine(
                self.url,
                pool_size=POOL_SIZE,
                max_overflow=POOL_SIZE,
                pool_timeout=self.timeout,
                pool_pre_ping=False,
                hide_parameters=True,
                connect_args=arguments,
            )
        engine = create_async_engine(
            self.url,
            poolclass=AsyncAdaptedQueuePool,
            pool_size=POOL_SIZE,
            max_overflow=0,
            pool_timeout=self.timeout,
            hide_parameters=True,
            connect_args={"timeout": self.timeout},
        )
        event.listen(engine.sync_engine, "do_connect", self._make_file)
        event.listen(engine.sync_engine, "connect", self._set_up_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine

    def _make_file(self, *_: object) -> None:
        """Make the file, for this user only; SQLite gives the mode on to those beside it.

        Not before it is needed: a folder that cannot be made is a database that is away for now.
        """
        if (file := self.file) is not None and not file.exists():
            make_private_folder(file.parent)
            open(file, "ab", opener=private_opener).close()

    def _set_up_sqlite(self, connection: Any, _record: object) -> None:  # noqa: ANN401 - drivers share no type
        # The driver would begin transactions by its own rules, and not before reads.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            f"busy_timeout={int(self.timeout * 1000)}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # Each statement that reads is a transaction of its own, as it is on PostgreSQL ("read committed").
    if connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _unavailable() -> Generator[None, None, None]:
    """Turn what means "away for now" into :class:`StorageUnavailable`."""
    try:
        yield
    except IntegrityError:
        raise
    except (OperationalError, InterfaceError) as error:
        raise StorageUnavailable("database", _reason(error)) from error
    except DBAPIError as error:
        # asyncpg tells of a lost connection and of a server shutting down by classes of its own.
        if error.connection_invalidated or _lost(error.orig):
            raise StorageUnavailable("database", _reason(error)) from error
        raise
    except (PoolTimeout, TimeoutError) as error:
        raise StorageUnavailable("database", "it does not answer in time") from error
    except (OSError, sqlite3.OperationalError) as error:
        raise StorageUnavailable("database", _reason(error)) from error


def _lost(error: BaseException | None) -> bool:
    """Whether the driver's error is of the connection, the server or the file, not of the statement."""
    if type(error) is sqlite3.DatabaseError:  # not its subclasses: no database, or a damaged one
        return True
    state = str(getattr(error, "sqlstate", None) or "")
    # Connection, shutdown, resources, a database or role that is not there (yet); and a deadlock, which is
    # over at the next try.
    return state.startswith(("08", "57P", "53", "3D", "28", "40"))


def _reason(error: BaseException) -> str:
    """The driver's words, without the statement and its parameters."""
    cause = getattr(error, "orig", None) or error
    return (str(cause) or type(cause).__name__).splitlines()[0][:200]
