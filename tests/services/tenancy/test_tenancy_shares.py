"""What tenants share while they are asked who they are: connections to the database, and its answers."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.config import AuthConfig, QuotaConfig, Settings
from services.errors import ApiError
from services.gate import DatabaseGate
from services.sharing.slots import CLAIMANT, Claimant
from services.tenancy.administration import Administration
from services.tenancy.authenticator import LOCAL, Authenticator
from services.tenancy.origin import CLI
from services.tokens import TokenSigner
from storage.database import Database
from storage.errors import StorageUnavailable

from databases import KINDS, database_address


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Database, None]:
    async with (
        database_address(request.param, tmp_path) as address,
        Database(address, timeout=2.0) as database,
    ):
        yield database


@pytest.fixture
async def gate(database: Database) -> DatabaseGate:
    gate = DatabaseGate(database, Settings())
    await gate.open()
    return gate


class Loud:
    """A tenant with many transactions that last."""

    def __init__(self, gate: DatabaseGate, count: int) -> None:
        self.inside = self.refused = 0
        self.go = asyncio.Event()
        self._gate = gate
        self._tasks = [asyncio.create_task(self._one()) for _ in range(count)]

    async def _one(self) -> None:
        CLAIMANT.set(Claimant("loud"))
        try:
            async with self._gate.read() as session:
                await session.scalar(text("SELECT 1"))
                self.inside += 1
                await self.go.wait()
        except StorageUnavailable:
            self.refused += 1

    async def end(self) -> None:
        self.go.set()
        await asyncio.gather(*self._tasks)


async def test_one_tenant_leaves_connections_to_others(database: Database, gate: DatabaseGate):
    most = database.connections * 3 // 4
    loud = Loud(gate, 3 * database.connections)
    async with asyncio.timeout(30):
        while loud.inside < most:
            await asyncio.sleep(0.01)
    CLAIMANT.set(Claimant("quiet"))
    async with asyncio.timeout(30):
        for _ in range(20):
            async with gate.read() as session:
                assert await session.scalar(text("SELECT 1")) == 1
    assert loud.inside == most
    await loud.end()


async def test_who_waits_too_long_for_a_connection_is_told(database: Database, gate: DatabaseGate):
    loud = Loud(gate, database.connections)
    async with asyncio.timeout(30):
        while not loud.refused:
            await asyncio.sleep(0.01)
    await loud.end()
    assert loud.inside == database.connections * 3 // 4
    assert loud.refused == database.connections - loud.inside


@contextmanager
def counted(engine: AsyncEngine) -> Generator[list[str], None, None]:
    """The statements that the database is sent."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


async def key_of(gate: DatabaseGate) -> tuple[str, str]:
    """A new key, and its id."""
    async with gate.write() as session:
        admin = Administration(session, QuotaConfig(), CLI, by=LOCAL)
        org = await admin.create_org("Customer", plan=None, limits={})
        key = await admin.create_key(org.id, name="k", scopes=None)
        return key.text, key.key.id


def authenticator(gate: DatabaseGate, cache_seconds: float) -> Authenticator:
    config = AuthConfig(mode="required", cache_seconds=cache_seconds)
    return Authenticator(gate, TokenSigner(gate, config), config, default_plan="default")


async def test_many_with_one_key_ask_the_database_once(database: Database, gate: DatabaseGate):
    text_of_key, _ = await key_of(gate)
    with counted(database.engine) as alone:
        await authenticator(gate, 60.0).identify(text_of_key)
    with counted(database.engine) as together:
        asked = authenticator(gate, 60.0)
        found = await asyncio.gather(*(asked.identify(text_of_key) for _ in range(100)))
    assert len(together) == len(alone)
    assert all(principal == found[0] for principal in found)


async def test_many_with_a_wrong_key_are_all_refused(gate: DatabaseGate):
    text_of_key, _ = await key_of(gate)
    asked = authenticator(gate, 60.0)
    wrong = text_of_key[:-1] + ("x" if text_of_key[-1] != "x" else "y")
    results = await asyncio.gather(*(asked.identify(wrong) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(result, ApiError) and result.status == 401 for result in results)


async def test_nothing_is_believed_where_nothing_may_be(database: Database, gate: DatabaseGate):
    text_of_key, _ = await key_of(gate)
    asked = authenticator(gate, 0.0)
    with counted(database.engine) as alone:
        await asked.identify(text_of_key)
    with counted(database.engine) as together:
        await asyncio.gather(*(asked.identify(text_of_key) for _ in range(10)))
    assert len(together) == 10 * len(alone)


async def test_what_is_known_of_a_key_ends(gate: DatabaseGate):
    text_of_key, key_id = await key_of(gate)
    asked = authenticator(gate, 0.05)
    principal = await asked.identify(text_of_key)
    async with gate.write() as session:
        admin = Administration(session, QuotaConfig(), CLI, by=LOCAL)
        await admin.revoke_key(principal.org_id, key_id)
    await asyncio.sleep(0.1)
    with pytest.raises(ApiError):
        await asked.identify(text_of_key)
