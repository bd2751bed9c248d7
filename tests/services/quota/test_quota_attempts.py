"""Failed attempts, counted in memory and in Redis alike."""

import asyncio
import uuid
from collections.abc import AsyncGenerator

import pytest
from redis.asyncio import Redis

from services.counters.attempts import KEPT, Attempts, Mark, MemoryAttempts, Slope
from services.counters.choose import open_counters

from redis_server import redis_url

LONG = Slope(free=3, seconds=1_000_000, most=100_000)
WIDE = Slope(free=6, seconds=1_000_000, most=50_000)


@pytest.fixture(params=["memory", "redis"])
async def attempts(request: pytest.FixtureRequest) -> AsyncGenerator[Attempts, None]:
    async with open_counters(redis_url() if request.param == "redis" else None) as counters:
        yield counters.attempts


@pytest.fixture
def mark() -> str:
    return uuid.uuid4().hex


async def fail(attempts: Attempts, pair: str, wide: str = "", *, times: int) -> None:
    for _ in range(times):
        await attempts.fail(Mark(pair, LONG), [Mark(wide, WIDE)] if wide else [])


async def test_what_is_free_waits_for_nothing(attempts: Attempts, mark: str):
    assert await attempts.wait(mark, []) == 0
    await fail(attempts, mark, times=2)
    assert await attempts.wait(mark, []) == 0
    await fail(attempts, mark, times=1)
    assert 0 < await attempts.wait(mark, []) <= 1


async def test_each_further_failure_doubles_the_wait_up_to_the_longest(attempts: Attempts, mark: str):
    await fail(attempts, mark, times=3 + 10)
    assert 512 < await attempts.wait(mark, []) <= 1_024
    await fail(attempts, mark, times=1)
    assert 1_024 < await attempts.wait(mark, []) <= 2_048
    await fail(attempts, mark, times=50)
    assert 90_000 < await attempts.wait(mark, []) <= 100_000


async def test_a_success_forgets_the_pair_and_no_more(attempts: Attempts, mark: str):
    await fail(attempts, mark, f"{mark}wide", times=20)
    assert await attempts.wait(f"{mark}else", [f"{mark}wide"]) > 100
    await attempts.succeed(mark, seconds=600)
    assert await attempts.wait(mark, [f"{mark}wide"]) == 0
    assert await attempts.wait(f"{mark}else", [f"{mark}wide"]) > 100


async def test_a_pair_that_is_known_counts_for_itself_alone(attempts: Attempts, mark: str):
    await attempts.succeed(mark, seconds=600)
    await fail(attempts, mark, f"{mark}wide", times=20)
    assert await attempts.wait(mark, [f"{mark}wide"]) > 1_000
    assert await attempts.wait(f"{mark}else", [f"{mark}wide"]) == 0


async def test_failures_are_forgotten_one_after_another(attempts: Attempts, mark: str):
    quick = Mark(mark, Slope(free=2, seconds=0.2, most=10))
    await attempts.fail(quick, [])
    await asyncio.sleep(0.3)
    await attempts.fail(quick, [])
    assert await attempts.wait(mark, []) == 0


async def test_nothing_stays_in_redis(mark: str):
    async with open_counters(redis_url()) as counters, Redis.from_url(redis_url()) as redis:
        await fail(counters.attempts, mark, f"{mark}wide", times=20)
        await counters.attempts.succeed(f"{mark}good", seconds=600)
        keys = [key async for key in redis.scan_iter(f"*{mark}*")]
        assert len(keys) == 3
        for key in keys:
            assert await redis.pttl(key) > 0


async def test_memory_is_bounded(mark: str):
    attempts = MemoryAttempts()
    for number in range(KEPT + 100):
        await attempts.fail(Mark(f"{mark}{number}", LONG), [])
        await attempts.succeed(f"{mark}{number}", seconds=600)
        await attempts.fail(Mark(f"{mark}{number}", LONG), [])
    assert len(attempts._levels) == len(attempts._known) == KEPT
