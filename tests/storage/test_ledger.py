"""The ledger: concurrent reservations never overspend, on SQLite and PostgreSQL."""

import asyncio
from datetime import timedelta

import pytest

from storage.columns import now
from storage.database import Database
from storage.errors import AccountMissing, OverQuota
from storage.repositories.ledger import Ledger, settle, sweep_reservations
from storage.repositories.orgs import OrgRepository

DAY, MONTH = "characters/2026-11-24", "characters/2026-11"


@pytest.fixture
async def org(database: Database) -> str:
    async with database.write() as session:
        org = await OrgRepository(session).create("A", plan="default")
        ledger = Ledger(session, org.id)
        await ledger.open(DAY, 0)
        await ledger.open(MONTH, 10)
        await ledger.open(MONTH, 99)
        return org.id


async def used(database: Database, org: str) -> tuple[int | None, int | None]:
    async with database.read() as session:
        ledger = Ledger(session, org)
        return await ledger.used(DAY), await ledger.used(MONTH)


async def reserve(database: Database, org: str, amount: int, limits: tuple[int, int]) -> str:
    async with database.write() as session:
        return await Ledger(session, org).reserve(
            {DAY: (amount, limits[0]), MONTH: (amount, limits[1])}, ttl=60
        )


async def test_what_was_reserved_is_settled_with_what_was_spent(database: Database, org: str):
    reservation = await reserve(database, org, 100, (1_000, 1_000))
    assert await used(database, org) == (100, 110)
    async with database.write() as session:
        assert await settle(session, {reservation: {DAY: 40, MONTH: 40}}) == {reservation}
    assert await used(database, org) == (40, 50)


async def test_a_reservation_is_settled_once(database: Database, org: str):
    reservation = await reserve(database, org, 100, (1_000, 1_000))
    for expected in ({reservation}, set[str]()):
        async with database.write() as session:
            assert await settle(session, {reservation: {}}) == expected
    assert await used(database, org) == (0, 10)


async def test_many_are_settled_at_once(database: Database, org: str):
    async with database.write() as session:
        other = (await OrgRepository(session).create("B", plan="default")).id
        await Ledger(session, other).open(DAY, 0)
        await Ledger(session, other).open(MONTH, 0)
    made = [await reserve(database, name, 100, (1_000, 1_000)) for name in (org, other, org)]
    spent = {reservation: {DAY: 10 * index, MONTH: index} for index, reservation in enumerate(made, 1)}
    async with database.write() as session:
        assert await settle(session, {**spent, "res_none": {DAY: 1}}) == set(made)
    assert await used(database, org) == (40, 14)
    assert await used(database, other) == (20, 2)


async def test_all_accounts_or_none(database: Database, org: str):
    with pytest.raises(OverQuota) as caught:
        await reserve(database, org, 100, (1_000, 109))
    error = caught.value
    assert (error.account, error.limit, error.used, error.wanted) == (MONTH, 109, 10, 100)
    assert await used(database, org) == (0, 10)
    await reserve(database, org, 100, (100, 110))


async def test_a_storm_never_overspends(database: Database, org: str):
    async def one() -> bool:
        try:
            await reserve(database, org, 7, (10_000, 10 + 7 * 5 + 6))
        except OverQuota:
            return False
        return True

    results = await asyncio.gather(*(one() for _ in range(40)))
    assert sum(results) == 5
    assert await used(database, org) == (35, 45)


async def test_a_reservation_grows_within_the_limit(database: Database, org: str):
    reservation = await reserve(database, org, 10, (100, 100))
    async with database.write() as session:
        await Ledger(session, org).extend(reservation, DAY, 90, 100)
    with pytest.raises(OverQuota):
        async with database.write() as session:
            await Ledger(session, org).extend(reservation, DAY, 1, 100)
    async with database.write() as session:
        await settle(session, {reservation: {DAY: 95, MONTH: 1}})
    assert await used(database, org) == (95, 11)


async def test_what_a_dead_process_reserved_is_given_back(database: Database, org: str):
    await reserve(database, org, 10, (100, 100))
    async with database.write() as session:
        assert await sweep_reservations(session, now()) == 0
        assert await sweep_reservations(session, now() + timedelta(minutes=2)) == 1
    assert await used(database, org) == (0, 10)


async def test_amounts_without_a_reservation(database: Database, org: str):
    async with database.write() as session:
        ledger = Ledger(session, org)
        await ledger.open("bytes/all", 0)
        await ledger.add("bytes/all", 60, 100)
    with pytest.raises(OverQuota):
        async with database.write() as session:
            await Ledger(session, org).add("bytes/all", 41, 100)
    async with database.write() as session:
        await Ledger(session, org).add("bytes/all", -60)
        assert await Ledger(session, org).used("bytes/all") == 0


async def test_an_account_must_be_open(database: Database, org: str):
    for limit in (5, None):
        with pytest.raises(AccountMissing, match="voices/all"):
            async with database.write() as session:
                await Ledger(session, org).add("voices/all", 1, limit)
