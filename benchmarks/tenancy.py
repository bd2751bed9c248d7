"""What the tenant and quota layer costs a request: the same request with it, and to a bare route, in one run."""

import asyncio
import os
import statistics
import tempfile
import time
import uuid
from typing import Any

import aiohttp
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from engines.config import EngineConfig
from services.config import QuotaConfig, Settings
from services.gate import DatabaseGate
from services.tenancy.administration import Administration
from services.tenancy.authenticator import LOCAL
from services.tenancy.origin import CLI
from storage.database import Database

from serving import serve

POSTGRESQL = os.environ.get("AWAAZTWIN_TEST_DB_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("AWAAZTWIN_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")

NULL = EngineConfig(
    name="NULL", type="SYNTHETIC", options={"base_ms": 0, "item_ms": 0, "seconds_per_char": 0.01}
)
LIMITS = {
    "requests_per_minute": 10**9,
    "concurrent_streams": 10**6,
    "characters_per_day": 10**12,
    "characters_per_month": 10**12,
    "audio_minutes_per_month": 10**9,
}
BODY = {"model": "NULL", "voice": "tone", "input": "Hello there.", "response_format": "pcm"}


async def bench_tenancy(count: int) -> None:
    """Print the times of a small request, one caller, in every mode."""
    print(
        "\n## The tenant and quota layer: a request of 12 characters to an engine that costs nothing (ms)\n"
    )
    print("| | p50 | p95 | more than without, p50 |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="awaaztwin-bench-") as folder:
        base = await _measure("local, SQLite, no limits", _settings(f"sqlite:///{folder}/a.db"), count, None)
        limited = _settings(f"sqlite:///{folder}/b.db", limits=LIMITS)
        await _measure("local, SQLite, every limit", limited, count, base)
        keyed = _settings(f"sqlite:///{folder}/c.db", limits=LIMITS, mode="required")
        await _measure("keys, SQLite, every limit", keyed, count, base)
    name = f"awaaztwin_bench_{uuid.uuid4().hex[:8]}"
    try:
        await _administer(f'CREATE DATABASE "{name}"')
    except (OSError, DBAPIError) as error:
        print(f"\nPostgreSQL was not measured: {type(error).__name__}.")
        return
    try:
        url = make_url(POSTGRESQL).set(database=name).render_as_string(hide_password=False)
        shared = _settings(url, limits=LIMITS, mode="required", redis=REDIS)
        await _measure("keys, PostgreSQL and Redis, every limit", shared, count, base)
    finally:
        await _administer(f'DROP DATABASE "{name}" WITH (FORCE)')


def _settings(
    db_url: str, *, limits: dict[str, int] | None = None, mode: str = "local", redis: str | None = None
) -> dict[str, Any]:
    return {
        "engines": [NULL.model_dump(mode="json", exclude_defaults=True)],
        "storage": {"db_url": db_url, "redis_url": redis},
        "auth": {"mode": mode},
        "quota": {"plans": {"default": limits or {}}},
    }


async def _measure(name: str, settings: dict[str, Any], count: int, base: float | None) -> float:
    with serve(settings) as (address, _):
        headers = {"authorization": f"Bearer {await _key(settings)}"}
        async with aiohttp.ClientSession(address, headers=headers) as session:

            async def once() -> float:
                begin = time.perf_counter()
                async with session.post("/v1/audio/speech", json=BODY) as answer:
                    await answer.read()
                    if answer.status != 200:
                        raise RuntimeError(await answer.text())
                return time.perf_counter() - begin

            for _ in range(100):
                await once()
            times = sorted([await once() for _ in range(count)])
    p50, p95 = statistics.median(times) * 1000, times[int(count * 0.95)] * 1000
    more = "–" if base is None else f"{p50 - base:+.2f}"
    print(f"| {name} | {p50:.2f} | {p95:.2f} | {more} |")
    return p50


async def _key(settings: dict[str, Any]) -> str:
    loaded = Settings.model_validate(settings)
    async with (
        Database(loaded.storage.db_url.get_secret_value()) as database,
        DatabaseGate(database, loaded).write() as session,
    ):
        admin = Administration(session, QuotaConfig(), CLI, by=LOCAL)
        org = await admin.create_org(f"Bench {uuid.uuid4().hex[:6]}", plan=None, limits={})
        made = await admin.create_key(org.id, name="bench", scopes=None)
    return made.text


async def _administer(statement: str) -> None:
    url = make_url(POSTGRESQL).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT", connect_args={"timeout": 5})
    try:
        async with engine.connect() as connection:
            await connection.execute(text(statement))
    finally:
        await engine.dispose()


if __name__ == "__main__":
    asyncio.run(bench_tenancy(1_000))
