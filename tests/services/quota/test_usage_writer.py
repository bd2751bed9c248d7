"""Usage on its way to the database, when the database does not take all of it."""

import logging
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from services.config import Settings
from services.gate import DatabaseGate
from services.quota.writer import Settlement, UsageWriter
from storage.database import Database
from storage.errors import StorageUnavailable
from storage.repositories.orgs import OrgRepository
from storage.repositories.usage import UsageRepository

from databases import KINDS, database_address

TODAY = datetime.now(UTC).date()


@pytest.fixture(params=KINDS)
async def gate(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[DatabaseGate, None]:
    async with database_address(request.param, tmp_path) as address, Database(address) as database:
        yield DatabaseGate(database, Settings())


async def org(gate: DatabaseGate, name: str) -> str:
    async with gate.write() as session:
        return (await OrgRepository(session).create(name, plan="free")).id


async def requests(gate: DatabaseGate, org_id: str) -> int:
    async with gate.read() as session:
        return sum(
            day.requests
            for day in await UsageRepository(session, org_id).sums("day", first=TODAY, last=TODAY)
        )


def settlement(org_id: str, *, kind: str | None = "speech") -> Settlement:
    record: Any = {
        "org_id": org_id,
        "at": datetime.now(UTC),
        "day": TODAY,
        "kind": kind,
        "outcome": "ok",
        "engine": "espeak",
        "voice": "en",
        "characters": 5,
        "audio_ms": 400,
    }
    return Settlement(record, None, {})


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Of what the writer logged."""
    return [record.levelname for record in caplog.records if record.name == "services.quota.writer"]


async def test_usage_of_a_deleted_organisation_is_dropped_and_the_rest_is_kept(
    gate: DatabaseGate, caplog: pytest.LogCaptureFixture
):
    stays, goes = await org(gate, "Stays"), await org(gate, "Goes")
    writer = UsageWriter(gate)
    for org_id in (stays, goes, stays):
        writer.put(settlement(org_id))
    async with gate.write() as session:
        orgs = OrgRepository(session)
        gone = await orgs.get(goes)
        assert gone is not None
        await orgs.delete(gone)
    with caplog.at_level(logging.INFO, logger="services.quota.writer"):
        await writer.flush()
    assert levels(caplog) == ["INFO"]
    assert (writer.waiting, writer.lost) == (0, 0)
    assert await requests(gate, stays) == 2


async def test_what_the_database_does_not_take_is_said_to_be_lost(
    gate: DatabaseGate, caplog: pytest.LogCaptureFixture
):
    stays = await org(gate, "Stays")
    writer = UsageWriter(gate)
    for kind in ("speech", None, "speech"):
        writer.put(settlement(stays, kind=kind))
    await writer.flush()
    assert levels(caplog) == ["ERROR"]
    assert (writer.waiting, writer.lost) == (0, 1)
    assert await requests(gate, stays) == 2


async def test_a_database_that_goes_away_in_the_middle_loses_nothing(
    gate: DatabaseGate, monkeypatch: pytest.MonkeyPatch
):
    stays = await org(gate, "Stays")
    writer = UsageWriter(gate)
    for kind in (None, "speech", "speech"):
        writer.put(settlement(stays, kind=kind))
    writes = 0
    write = gate.write

    def goes_away() -> AbstractAsyncContextManager[AsyncSession]:
        nonlocal writes
        writes += 1
        if writes == 3:
            raise StorageUnavailable("database", "it went away")
        return write()

    with monkeypatch.context() as patch:
        patch.setattr(gate, "write", goes_away)
        with pytest.raises(StorageUnavailable):
            await writer.flush()
    assert (writer.waiting, writer.lost) == (2, 1)
    await writer.flush()
    assert await requests(gate, stays) == 2
