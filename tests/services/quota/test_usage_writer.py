"""Usage on its way to the database, when the database does not take all of it."""

import logging
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from services.gate import DatabaseGate
from services.quota.writer import UsageWriter
from storage.errors import StorageUnavailable
from storage.repositories.orgs import OrgRepository
from storage.repositories.usage import UsageRepository

from usage import TODAY, new_org, settlement


async def requests(gate: DatabaseGate, org_id: str) -> int:
    async with gate.read() as session:
        return sum(
            day.requests
            for day in await UsageRepository(session, org_id).sums("day", first=TODAY, last=TODAY)
        )


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Of what the writer logged."""
    return [record.levelname for record in caplog.records if record.name == "services.quota.writer"]


async def test_usage_of_a_deleted_organisation_is_dropped_and_the_rest_is_kept(
    gate: DatabaseGate, caplog: pytest.LogCaptureFixture
):
    stays, goes = await new_org(gate, "Stays"), await new_org(gate, "Goes")
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
    stays = await new_org(gate, "Stays")
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
    stays = await new_org(gate, "Stays")
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
