"""A reservation counts what finished requests give back, however far on its way that is."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import ApiError
from services.gate import DatabaseGate
from services.quota.accounts import AccountBook
from services.quota.writer import UsageWriter

from usage import TODAY, new_org, settlement

ACCOUNT = f"characters/{TODAY:%Y-%m}"
LIMIT = 10


class Ledger:
    """A tenant that has reserved all it may use, and a finished request that used one character of it."""

    def __init__(self, gate: DatabaseGate, org_id: str) -> None:
        self.gate = gate
        self.org_id = org_id
        self.writer = UsageWriter(gate)
        self.book = AccountBook(gate, self.writer, ttl=60)

    async def reserve(self, characters: int) -> str:
        return await self.book.reserve(self.org_id, {ACCOUNT: (characters, LIMIT)})

    async def finish(self) -> None:
        reservation = await self.reserve(LIMIT)
        self.writer.put(settlement(self.org_id, reservation=reservation, spent={ACCOUNT: 1}))


@pytest.fixture
async def ledger(gate: DatabaseGate) -> Ledger:
    return Ledger(gate, await new_org(gate, "Asha"))


async def test_what_waits_to_be_written(ledger: Ledger) -> None:
    await ledger.finish()
    assert await ledger.reserve(9)
    with pytest.raises(ApiError, match="10 are used"):
        await ledger.reserve(1)


async def test_what_is_being_written(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    await ledger.finish()
    begun, held, write = asyncio.Event(), asyncio.Event(), ledger.gate.write

    @asynccontextmanager
    async def delayed() -> AsyncGenerator[AsyncSession, None]:
        monkeypatch.undo()
        begun.set()
        await held.wait()
        async with write() as session:
            yield session

    monkeypatch.setattr(ledger.gate, "write", delayed)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(ledger.writer.flush())
        await begun.wait()
        reserved = tasks.create_task(ledger.reserve(9))
        asyncio.get_running_loop().call_later(0.5, held.set)
    assert reserved.result()
    assert ledger.writer.waiting == 0


async def test_what_was_written_since_the_ledger_was_read(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.finish()
    write = ledger.gate.write

    @asynccontextmanager
    async def overtaken() -> AsyncGenerator[AsyncSession, None]:
        monkeypatch.undo()
        try:
            async with write() as session:
                yield session
        finally:
            await ledger.writer.flush()

    monkeypatch.setattr(ledger.gate, "write", overtaken)
    assert await ledger.reserve(9)
