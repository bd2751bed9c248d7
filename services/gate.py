"""Access to the database for requests, once its schema is the one that this version needs."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.config import Settings
from services.sharing.slots import FairSlots
from storage import migrate
from storage.database import Database
from storage.errors import StorageError, StorageUnavailable
from storage.repositories.orgs import LOCAL_ORG_ID, OrgRepository
from storage.repositories.secrets import make_secret, rewrite_secret

RETRY_SECONDS: Final = 1.0
"""Backoff after a failure to open, in seconds."""

SIGNING_SECRET: Final = "signing"  # noqa: S105 - its name


class DatabaseGate:
    """Provides transactions on a database that has this version's tables and their initial rows.

    In ``env: local`` it migrates the database itself. The server starts even if the database is unavailable:
    each transaction tries to open it again.

    Tenants take turns in waiting for connections, so that no tenant holds up all others.

    Args:
        database: The database.
        settings: The settings.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._slots = FairSlots(database.connections, most=database.connections * 3 // 4)
        self._settings = settings
        self._lock = asyncio.Lock()
        self._opened = False
        self._refused: tuple[float, StorageError] | None = None

    async def open(self) -> None:
        """Open the database, unless it is open.

        Raises:
            StorageError: The database cannot be opened now; the message gives the reason.
        """
        if self._opened:
            return
        async with self._lock:
            if self._opened:
                return
            # Requests that waited for a failed attempt do not each try again.
            if self._refused is not None and time.monotonic() < self._refused[0]:
                raise self._refused[1]
            try:
                await self._prepare()
            except StorageError as error:
                self._refused = (time.monotonic() + RETRY_SECONDS, error)
                raise
            self._opened = True

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession, None]:
        """Open a read transaction; see :meth:`storage.database.Database.read`."""
        await self.open()
        async with self._slot(), self._database.read() as session:
            yield session

    @asynccontextmanager
    async def lookup(self) -> AsyncGenerator[AsyncConnection, None]:
        """Open a connection for single statements; see :meth:`storage.database.Database.lookup`."""
        await self.open()
        async with self._slot(), self._database.lookup() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncSession, None]:
        """Open a write transaction; see :meth:`storage.database.Database.write`."""
        await self.open()
        async with self._slot(), self._database.write() as session:
            yield session

    @asynccontextmanager
    async def _slot(self) -> AsyncGenerator[None, None]:
        """Hold one of the database's connections.

        Raises:
            StorageUnavailable: No connection became free in time.
        """
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._slots.taken(patience=self._database.timeout))
            except TimeoutError as error:
                raise StorageUnavailable("database", "it does not answer in time") from error
            yield

    async def ping(self) -> None:
        """Check that the database is usable.

        Raises:
            StorageUnavailable: The database is not usable; the message gives the reason.
        """
        await self.open()
        await self._database.ping()

    async def try_write(self) -> None:
        """Check that the database is writable, by a change without effect.

        Raises:
            StorageError: The database is not writable now; the message gives the reason.
        """
        await self._database.check_space()
        async with self.write() as session:
            await rewrite_secret(session, SIGNING_SECRET)

    async def _prepare(self) -> None:
        auth = self._settings.auth
        if self._settings.env == "local":
            await migrate.upgrade(self._database)
        else:
            await migrate.check(self._database)
        async with self._database.write() as session:
            orgs = OrgRepository(session)
            if auth.mode == "local" and await orgs.get(LOCAL_ORG_ID) is None:
                await orgs.create("local", plan=self._settings.quota.default_plan, org_id=LOCAL_ORG_ID)
            await make_secret(session, SIGNING_SECRET)
