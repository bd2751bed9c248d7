"""Who has to wait before an attempt, counted in memory and in Redis."""

import uuid
from collections.abc import AsyncGenerator

import pytest

from services.config import AuthConfig
from services.counters.choose import open_counters
from services.counters.redis import RedisCounters
from services.errors import ApiError
from services.tenancy.login_guard import LoginGuard

from redis_server import redis_url
from workers import free_port


@pytest.fixture(params=["memory", "redis"])
async def guard(request: pytest.FixtureRequest) -> AsyncGenerator[LoginGuard, None]:
    async with open_counters(redis_url() if request.param == "redis" else None) as counters:
        # So long that no wait is over while a test runs, once it has grown.
        yield LoginGuard(counters, AuthConfig(login_window_seconds=86_400), realm=uuid.uuid4().hex)


async def fail(guard: LoginGuard, address: str | None, account: str, *, times: int = 12) -> None:
    for _ in range(times):
        await guard.failed(address, account)


async def waits(guard: LoginGuard, address: str | None, account: str) -> bool:
    try:
        await guard.check(address, account)
    except ApiError as error:
        assert error.status == 429
        assert error.body.code == "too_many_logins"
        assert int(error.headers["retry-after"]) >= 1
        return True
    return False


async def test_a_few_failures_hold_up_that_account_at_that_address(guard: LoginGuard):
    await fail(guard, "192.0.2.1", "Asha@example.com")
    assert await waits(guard, "192.0.2.1", "ASHA@EXAMPLE.COM")
    assert await waits(guard, "::ffff:192.0.2.1", "asha@example.com")
    assert not await waits(guard, "192.0.2.1", "ravi@example.com")
    assert not await waits(guard, "192.0.2.2", "asha@example.com")


async def test_many_failures_hold_up_strangers_and_nobody_who_is_known(guard: LoginGuard):
    await guard.succeeded("198.51.100.1", "asha@example.com")
    for number in range(25):
        await guard.failed(f"192.0.2.{number}", "asha@example.com")
    assert await waits(guard, "203.0.113.1", "asha@example.com")
    assert not await waits(guard, "198.51.100.1", "asha@example.com")
    assert not await waits(guard, "203.0.113.1", "ravi@example.com")


async def test_many_failures_of_an_address_hold_up_its_strangers_alone(guard: LoginGuard):
    await guard.succeeded("192.0.2.1", "asha@example.com")
    for number in range(55):
        await guard.failed("192.0.2.1", f"user{number}@example.com")
    assert await waits(guard, "192.0.2.1", "ravi@example.com")
    assert not await waits(guard, "192.0.2.1", "asha@example.com")
    assert not await waits(guard, "192.0.2.2", "ravi@example.com")


async def test_an_ipv6_subscriber_is_one_address(guard: LoginGuard):
    for number in range(12):
        await guard.failed(f"2001:db8:1:2::{number:x}", "asha@example.com")
    assert await waits(guard, "2001:db8:1:2:ffff::1", "asha@example.com")
    assert not await waits(guard, "2001:db8:1:3::1", "asha@example.com")


@pytest.mark.parametrize("address", [None, "testclient", "fe80::1%eth0", ""])
async def test_any_address_is_taken(guard: LoginGuard, address: str | None):
    await fail(guard, address, "asha@example.com")
    assert await waits(guard, address, "asha@example.com")
    await guard.succeeded(address, "asha@example.com")
    assert not await waits(guard, address, "asha@example.com")


async def test_while_nobody_counts_nobody_may_try():
    async with RedisCounters(f"redis://127.0.0.1:{free_port()}/0") as counters:
        guard = LoginGuard(counters, AuthConfig())
        await guard.failed("192.0.2.1", "asha@example.com")
        await guard.succeeded("192.0.2.1", "asha@example.com")
        with pytest.raises(ApiError) as caught:
            await guard.check("192.0.2.1", "asha@example.com")
    assert caught.value.status == 503
