"""Two Gateway processes on PostgreSQL and Redis, and two hundred requests at once."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from databases import database_address
from live import start
from redis_server import redis_url
from tenants import Tenant, Tenants, settings, start_tenants

REQUESTS = 200
PLANS = {
    "default": {},
    "minute": {"requests_per_minute": 50},
    "audio": {"audio_minutes_per_month": 1},
    "characters": {"characters_per_month": 50 * 12 + 11},
}


@pytest.fixture
async def two(tmp_path: Path) -> AsyncGenerator[tuple[Tenants, str], None]:
    """Tenants, and the address of a second Gateway on the same database and Redis."""
    async with database_address("postgresql", tmp_path) as address:
        shared = {"storage": {"db_url": address, "redis_url": redis_url()}}
        # Engines of their own, so that nothing but the quota refuses.
        tone = {
            "name": "TONE",
            "type": "SYNTHETIC",
            "options": {"base_ms": 5, "item_ms": 0, "seconds_per_char": 0.1},
        }
        given = settings(quota={"plans": PLANS}, **shared)
        given["engines"] = [{**tone, "batching": {"max_queue": 1000}}]
        given["limits"] = {"max_concurrent_streams": 1000}
        first, second = tmp_path / "first", tmp_path / "second"
        first.mkdir()
        second.mkdir()
        tenants = await asyncio.to_thread(start_tenants, first, given)
        other = await asyncio.to_thread(start, second, given)
        try:
            yield tenants, other.url
        finally:
            await asyncio.to_thread(other.stop)
            await asyncio.to_thread(tenants.server.stop)


async def storm(tenants: Tenants, other: str, tenant: Tenant, text: str) -> list[httpx.Response]:
    body = {"model": "TONE", "voice": "tone", "input": text, "response_format": "pcm"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(headers=tenant.headers(), timeout=100, limits=limits) as client:
        urls = [tenants.server.url, other]
        return await asyncio.gather(
            *(client.post(f"{urls[index % 2]}/v1/audio/speech", json=body) for index in range(REQUESTS))
        )


async def plan(tenants: Tenants, tenant: Tenant, name: str) -> None:
    async with httpx.AsyncClient(base_url=tenants.server.url, headers=tenants.operator.headers()) as client:
        answer = await client.patch(f"/admin/orgs/{tenant.id}", json={"plan": name})
        assert answer.status_code == 200


async def test_no_limit_is_exceeded_by_concurrent_requests_over_two_gateways(two: tuple[Tenants, str]):
    tenants, other = two

    await plan(tenants, tenants.a, "minute")
    answers = await storm(tenants, other, tenants.a, "Hello there.")
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(429)) == (50, 150)

    await plan(tenants, tenants.b, "characters")
    answers = await storm(tenants, other, tenants.b, "Hello there.")
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(429)) == (50, 150)

    await plan(tenants, tenants.operator, "audio")
    answers = await storm(tenants, other, tenants.operator, "Hello there.")
    assert {answer.status_code for answer in answers} == {200, 429}
    seconds = sum(len(answer.content) / 48_000 for answer in answers if answer.status_code == 200)
    assert 0 < seconds <= 60
    async with httpx.AsyncClient(base_url=other, headers=tenants.operator.headers()) as client:
        used = 0
        for _ in range(100):
            # Each Gateway writes what it has spoken within a moment.
            usage = (await client.get("/usage")).json()
            used = usage["quota"]["used"]["audio_ms_per_month"]
            assert used <= 60_000
            if used == pytest.approx(seconds * 1000, rel=0.01):
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail(f"{used} ms are booked, {seconds} s were spoken")
