"""Counters in memory and in Redis do the same."""

import asyncio
import multiprocessing
import os
import signal
import uuid
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import pytest
from redis.asyncio import Redis
from wire import Wire

from services.counters.choose import open_counters
from services.counters.contract import Counters, CountersUnavailable, StreamLease
from services.counters.memory import SWEEP, MemoryCounters
from services.counters.redis import MOST_OWED, RENEWALS, RedisCounters

from redis_server import own_redis, redis_url


@pytest.fixture(params=["memory", "redis"])
async def counters(request: pytest.FixtureRequest) -> AsyncGenerator[Counters, None]:
    async with open_counters(redis_url() if request.param == "redis" else None) as counters:
        yield counters


@pytest.fixture
def org() -> str:
    return f"org_{uuid.uuid4().hex}"


async def test_a_window_lets_its_limit_through_and_no_more(counters: Counters, org: str):
    for left in (2, 1, 0):
        window = await counters.hit(org, "requests", 3, 60)
        assert (window.allowed, window.limit, window.remaining, window.retry_after) == (True, 3, left, 0.0)
        assert 55 < window.reset_seconds <= 60
    refused = await counters.hit(org, "requests", 3, 60)
    assert (refused.allowed, refused.remaining) == (False, 0)
    assert 55 < refused.retry_after <= 60


async def test_a_refused_hit_costs_nothing(counters: Counters, org: str):
    assert (await counters.hit(org, "requests", 3, 60, cost=2)).allowed
    assert not (await counters.hit(org, "requests", 3, 60, cost=2)).allowed
    assert (await counters.hit(org, "requests", 3, 60)).allowed


async def test_a_window_moves(counters: Counters, org: str):
    assert (await counters.hit(org, "requests", 1, 0.2)).allowed
    refused = await counters.hit(org, "requests", 1, 0.2)
    assert not refused.allowed
    await asyncio.sleep(refused.retry_after + 0.02)
    assert (await counters.hit(org, "requests", 1, 0.2)).allowed


@pytest.mark.parametrize(("limit", "cost"), [(0, 1), (2, 3)])
async def test_what_never_fits_is_refused(counters: Counters, org: str, limit: int, cost: int):
    window = await counters.hit(org, "requests", limit, 60, cost=cost)
    assert not window.allowed
    assert window.remaining == limit
    assert window.retry_after == 60


async def test_tenants_and_meters_are_counted_apart(counters: Counters, org: str):
    assert (await counters.hit(org, "requests", 1, 60)).allowed
    assert (await counters.hit(org, "jobs", 1, 60)).allowed
    assert (await counters.hit(org + "x", "requests", 1, 60)).allowed
    await counters.clear(org, "requests")
    assert (await counters.hit(org, "requests", 1, 60)).allowed
    assert not (await counters.hit(org, "jobs", 1, 60)).allowed


async def test_two_hundred_at_once_at_a_limit_of_fifty(counters: Counters, org: str):
    windows = await asyncio.gather(*(counters.hit(org, "requests", 50, 60) for _ in range(200)))
    assert sum(window.allowed for window in windows) == 50


async def test_streams_are_taken_and_given_back(counters: Counters, org: str):
    first = await counters.acquire_stream(org, 2)
    second = await counters.acquire_stream(org, 2)
    assert first
    assert second
    assert await counters.acquire_stream(org, 2) is None
    assert await counters.acquire_stream(org + "x", 2)
    await first.release()
    await first.release()
    third = await counters.acquire_stream(org, 2)
    assert third
    assert await counters.acquire_stream(org, 2) is None


async def test_they_can_be_reached(counters: Counters):
    await counters.ping()


def _storm(url: str, org: str, results: "multiprocessing.Queue[int]") -> None:
    async def run() -> int:
        async with RedisCounters(url) as counters:
            windows = await asyncio.gather(*(counters.hit(org, "requests", 50, 60) for _ in range(100)))
            return sum(window.allowed for window in windows)

    results.put(asyncio.run(run()))


def test_two_processes_share_a_limit(org: str):
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    processes = [spawn.Process(target=_storm, args=(redis_url(), org, results)) for _ in range(2)]
    for process in processes:
        process.start()
    allowed = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    assert sum(allowed) == 50


async def taken(counters: Counters, org: str) -> StreamLease:
    """A tenant's only stream, as soon as it is free."""
    async with asyncio.timeout(60):
        while True:
            with suppress(CountersUnavailable):
                if (lease := await counters.acquire_stream(org, 1)) is not None:
                    return lease
            await asyncio.sleep(0.05)


def _take_and_die(url: str, org: str) -> None:
    async def run() -> None:
        async with RedisCounters(url, lease_seconds=1) as counters:
            await taken(counters, org)
            os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(run())


async def test_a_stream_of_a_process_that_died_is_free_again(org: str):
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_take_and_die, args=(redis_url(), org))
    process.start()
    await asyncio.to_thread(process.join, 60)
    assert process.exitcode == -signal.SIGKILL
    async with RedisCounters(redis_url()) as counters:
        await taken(counters, org)


FOR_EVER = 3_600.0
"""Seconds of a lease that no test waits for the end of."""


async def scores(redis: Redis, counters: RedisCounters, org: str) -> list[float]:
    """When the streams of a tenant expire."""
    found: Any = await redis.zrange(counters._key(org, "streams"), 0, -1, withscores=True)
    return [score for _, score in found]


async def test_a_stream_is_renewed_while_it_goes_on(org: str):
    async with RedisCounters(redis_url(), lease_seconds=2) as counters, Redis.from_url(redis_url()) as redis:
        lease = await taken(counters, org)
        (first,) = await scores(redis, counters, org)
        async with asyncio.timeout(60):
            while not any(score > first for score in await scores(redis, counters, org)):
                await asyncio.sleep(0.05)
        await lease.release()
        await asyncio.sleep(2 / RENEWALS)
        assert await scores(redis, counters, org) == []


@pytest.mark.parametrize("away", ["cut off", "paused", "restarted"])
async def test_a_stream_that_ends_while_redis_is_away_is_free_when_it_is_back(org: str, away: str):
    with own_redis() as redis:
        wire = Wire("127.0.0.1", redis.port)
        leave, come = {
            "cut off": (wire.cut, wire.mend),
            "paused": (redis.pause, redis.resume),
            "restarted": (redis.stop, redis.start),
        }[away]
        url = f"redis://127.0.0.1:{wire.port}/0" if away == "cut off" else redis.url
        async with RedisCounters(url, lease_seconds=FOR_EVER) as counters:
            leases = [await taken(counters, org), await taken(counters, org + "x")]
            leave()
            for lease in leases:
                await lease.release()
            assert await counters_are_away(counters, org)
            come()
            for one in (org, org + "x"):
                await (await taken(counters, one)).release()
        wire.cut()


async def counters_are_away(counters: Counters, org: str) -> bool:
    try:
        await counters.acquire_stream(org, 1)
    except CountersUnavailable:
        return True
    return False


async def test_a_stream_that_redis_took_but_could_not_tell_is_given_back(org: str):
    with own_redis() as redis:
        async with RedisCounters(redis.url, lease_seconds=FOR_EVER) as counters:
            await counters.ping()
            redis.pause()
            # It is sent, and taken as soon as Redis goes on, when nobody waits for it any more.
            assert await counters_are_away(counters, org)
            redis.resume()
            await taken(counters, org)


async def test_a_redis_that_was_started_anew_learns_which_streams_go_on(org: str):
    with own_redis() as redis:
        async with RedisCounters(redis.url, lease_seconds=4) as counters:
            lease = await taken(counters, org)
            redis.stop()
            redis.start()
            async with asyncio.timeout(60), Redis.from_url(redis.url) as there:
                while not await scores(there, counters, org):
                    await asyncio.sleep(0.05)
            await lease.release()
            await taken(counters, org)


async def test_what_is_owed_is_bounded(org: str):
    counters = RedisCounters("redis://127.0.0.1:1/0")
    for number in range(MOST_OWED + 10):
        counters._owe(str(number), org)
    assert len(counters._owed) == MOST_OWED


async def test_an_outage_is_told_and_is_over_when_it_is_over(org: str):
    with own_redis() as redis:
        async with RedisCounters(redis.url) as counters:
            assert (await counters.hit(org, "requests", 5, 60)).allowed
            redis.stop()
            for _ in range(3):
                with pytest.raises(CountersUnavailable) as caught:
                    await counters.hit(org, "requests", 5, 60)
                assert caught.value.retry_after > 0
            with pytest.raises(CountersUnavailable):
                await counters.ping()
            redis.start()
            await counters.ping()
            assert (await counters.hit(org, "requests", 5, 60)).allowed


async def test_windows_that_are_over_take_no_memory(org: str):
    counters = MemoryCounters()
    for index in range(SWEEP - 1):
        await counters.hit(f"{org}{index}", "requests", 1, 0.001)
    await asyncio.sleep(0.01)
    await counters.hit(org, "requests", 1, 60)
    assert len(counters._windows) == 1


async def test_a_limit_that_was_lowered_while_its_hits_grew_old(org: str):
    counters = MemoryCounters()
    await counters.hit(org, "requests", 1, 0.001)
    await asyncio.sleep(0.01)
    assert not (await counters.hit(org, "requests", 0, 0.001)).allowed
    for _ in range(SWEEP):
        await counters.hit(org + "x", "requests", SWEEP, 60)
    assert list(counters._windows) == [(org + "x", "requests")]
