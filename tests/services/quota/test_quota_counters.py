"""Counters in memory and in Redis do the same."""

import asyncio
import multiprocessing
import uuid
from collections.abc import AsyncGenerator

import pytest

from services.quota.choose import open_counters
from services.quota.counters import Counters, CountersUnavailable
from services.quota.memory import SWEEP, MemoryCounters
from services.quota.redis_counters import RedisCounters

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
    first = await counters.acquire_stream(org, 2, 60)
    second = await counters.acquire_stream(org, 2, 60)
    assert first
    assert second
    assert await counters.acquire_stream(org, 2, 60) is None
    assert await counters.acquire_stream(org + "x", 2, 60)
    await first.release()
    await first.release()
    third = await counters.acquire_stream(org, 2, 60)
    assert third
    assert await counters.acquire_stream(org, 2, 60) is None


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


async def test_a_stream_of_a_process_that_died_is_free_again(org: str):
    async with RedisCounters(redis_url()) as counters:
        assert await counters.acquire_stream(org, 1, 0.2)
        assert await counters.acquire_stream(org, 1, 0.2) is None
        await asyncio.sleep(0.25)
        assert await counters.acquire_stream(org, 1, 0.2)


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
