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
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
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
"""Number of pooled connections per process."""

CLOSING_SECONDS: Final = 3.0
"""Maximum time in seconds to close all connections."""

MIN_FREE: Final = 16_000_000
"""Minimum free disk space in bytes: SQLite needs room for its write-ahead log."""

PING_TIMEOUT_SECONDS: Final = 2.0
"""Timeout of :meth:`Database.ping` in seconds."""


def database_url(address: str) -> URL:
    """Return the URL of an address, with the asynchronous driver of its database."""
    url = make_url(address)
    return url.set(drivername=DRIVERS.get(url.get_backend_name(), url.drivername))


class Database:
    """Opens transactions, each with its own session. Use as an asynchronous context manager.

    Args:
        address: URL such as ``sqlite:///data/awaaztwin.db`` or ``postgresql://user:password@host/name``.
        timeout: Seconds to wait for a connection, a lock, or the answer to a statement.
    """

    def __init__(self, address: str, *, timeout: float = 5.0) -> None:
        self.url = database_url(address)
        self.timeout = timeout
        self._engine: AsyncEngine | None = None

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is SQLite."""
        return self.url.get_backend_name() == "sqlite"

    async def __aenter__(self) -> Self:
        """Create the pool. It connects lazily, so that the server starts even if the database is down."""
        self._engine = self._make_engine()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections; drop those whose server no longer answers."""
        if self._engine is not None:
            try:
                async with asyncio.timeout(CLOSING_SECONDS):
                    await self._engine.dispose()
            except TimeoutError:
                # Each of them would wait for its own timeout, one after the other.
                await self._engine.dispose(close=False)
            self._engine = None

    @property
    def connections(self) -> int:
        """Maximum number of concurrent transactions; further ones wait."""
        return POOL_SIZE if self.is_sqlite else 2 * POOL_SIZE

    @property
    def engine(self) -> AsyncEngine:
        """SQLAlchemy's engine."""
        if self._engine is None:
            raise StorageUnavailable("database", "it is closed")
        return self._engine

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession, None]:
        """Open a transaction for reading.

        Raises:
            StorageUnavailable: The database is unavailable.
        """
        with _unavailable():
            async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
                yield session

    @asynccontextmanager
    async def lookup(self) -> AsyncGenerator[AsyncConnection, None]:
        """Open a connection for single statements that read, each a transaction of its own.

        It is faster than :meth:`read`: no session, and on PostgreSQL no ``BEGIN`` and ``ROLLBACK``.

        Raises:
            StorageUnavailable: The database is unavailable.
        """
        engine = self.engine
        # On SQLite, each statement that reads is a transaction of its own anyway.
        if not self.is_sqlite:
            engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        with _unavailable():
            async with engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncSession, None]:
        """Open a transaction for writing: committed at the end of the block, rolled back if it raises.

        On SQLite it holds the only write lock from its start, because a transaction that reads before it
        writes fails if another one has written in between. Do nothing slow in it; see
        :mod:`storage.transactions`.

        Raises:
            StorageUnavailable: The database is unavailable.
        """
        with _unavailable(), writing():
            engine = self.engine.execution_options(writes=True)
            async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
                yield session

    async def ping(self) -> None:
        """Check that the database answers.

        Raises:
            StorageUnavailable: It does not answer; with the reason.
        """
        with _unavailable():
            async with asyncio.timeout(PING_TIMEOUT_SECONDS), self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))

    async def check_space(self) -> None:
        """Check that the disk has free space, if the database is a file.

        A successful write does not prove it: SQLite reuses free pages until it needs more.

        Raises:
            StorageUnavailable: Less than :data:`MIN_FREE` is free.
        """
        if self.is_sqlite and (file := self.file) is not None:
            folder = file.parent
            with _unavailable():
                free = (await asyncio.to_thread(shutil.disk_usage, folder)).free
            if free < MIN_FREE:
                raise StorageUnavailable("database", scarce("storage.db_url", folder, free, MIN_FREE))

    @property
    def file(self) -> Path | None:
        """SQLite's file; ``None`` if the database is in memory or on a server."""
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
        """Create the file, accessible only to this user; SQLite gives its other files the same mode.

        Done on connecting, so that a folder that cannot be created means an unavailable database.
        """
        if (file := self.file) is not None and not file.exists():
            make_private_folder(file.parent)
            open(file, "ab", opener=private_opener).close()

    def _set_up_sqlite(self, connection: Any, _record: object) -> None:  # noqa: ANN401 - drivers share no type
        # Otherwise the driver begins transactions by its own rules, and none before reads.
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
    # Without BEGIN, each reading statement is a transaction, as with "read committed" in PostgreSQL.
    if connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _unavailable() -> Generator[None, None, None]:
    """Turn errors that mean "temporarily unavailable" into :class:`StorageUnavailable`."""
    try:
        yield
    except IntegrityError:
        raise
    except (OperationalError, InterfaceError) as error:
        raise StorageUnavailable("database", _reason(error)) from error
    except DBAPIError as error:
        # asyncpg has its own classes for a lost connection and a server that shuts down.
        if error.connection_invalidated or _lost(error.orig):
            raise StorageUnavailable("database", _reason(error)) from error
        raise
    except (PoolTimeout, TimeoutError) as error:
        raise StorageUnavailable("database", "it does not answer in time") from error
    except (OSError, sqlite3.OperationalError) as error:
        raise StorageUnavailable("database", _reason(error)) from error


def _lost(error: BaseException | None) -> bool:
    """Whether the driver's error is about the connection, the server or the file, not the statement."""
    if type(error) is sqlite3.DatabaseError:  # not its subclasses: not a database, or a damaged one
        return True
    state = str(getattr(error, "sqlstate", None) or "")
    # Connection, shutdown, resources, a missing database or role; and deadlocks, which a retry resolves.
    return state.startswith(("08", "57P", "53", "3D", "28", "40"))


def _reason(error: BaseException) -> str:
    """Return the driver's message, without the statement and its parameters."""
    cause = getattr(error, "orig", None) or error
    return (str(cause) or type(cause).__name__).splitlines()[0][:200]
