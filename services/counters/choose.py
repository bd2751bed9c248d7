"""Choosing the counters by the settings."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from services.counters.contract import Counters
from services.counters.memory import MemoryCounters
from services.counters.redis import RedisCounters


@asynccontextmanager
async def open_counters(redis_url: str | None) -> AsyncGenerator[Counters, None]:
    """Yield counters in Redis; without a URL, in the memory of this process."""
    if redis_url is None:
        yield MemoryCounters()
        return
    async with RedisCounters(redis_url) as counters:
        yield counters
