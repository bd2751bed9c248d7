"""Counters of many processes, in Redis.

Each call is one script, so it is atomic and takes one round trip; the clock is Redis's own. (The library
``limits`` was looked at: its moving window takes two round trips and the caller's clock, and its counters
in memory start a thread for every key at every hit.)
"""

import asyncio
import logging
import math
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, Self

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.counters.contract import CountersUnavailable, RateWindow, StreamLease
from services.counters.redis_attempts import RedisAttempts
from services.tasks import Chore

logger = logging.getLogger(__name__)

CONNECTIONS: Final = 32
"""Of one process."""

DOWN_SECONDS: Final = 1.0
"""How long nobody tries after a failure, so that an outage does not hold each request up anew."""

HIT: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local limit, span, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local oldest = redis.call('LINDEX', KEYS[1], -1)
while oldest and tonumber(oldest) <= now - span do
  redis.call('RPOP', KEYS[1])
  oldest = redis.call('LINDEX', KEYS[1], -1)
end
local count = redis.call('LLEN', KEYS[1])
local allowed, wait = 0, 0
if count + cost <= limit then
  for _ = 1, cost do redis.call('LPUSH', KEYS[1], string.format('%.0f', now)) end
  redis.call('PEXPIRE', KEYS[1], math.ceil(span / 1000))
  allowed, count = 1, count + cost
  oldest = redis.call('LINDEX', KEYS[1], -1)
elseif cost > limit then
  wait = span
else
  wait = tonumber(redis.call('LINDEX', KEYS[1], limit - cost - count)) + span - now
end
return {allowed, count, oldest and tonumber(oldest) + span - now or 0, wait}
"""
"""A list of the times of hits in microseconds, the newest first."""

LEASE_SECONDS: Final = 20.0
"""How long a stream stays taken when its process dies, or gives it back while Redis is away for longer."""

RENEWALS: Final = 4
"""In that time, so that three may fail."""

AGAIN_SECONDS: Final = 0.5
"""Between two rounds of renewing what is due and giving back what Redis was away for."""

MOST_OWED: Final = 10_000
"""Streams to give back at once; more expire by themselves."""

MOST_AT_ONCE: Final = 1_000
"""Streams in one call, so that none holds Redis up."""

TAKE: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
"""A sorted set of streams by the time they expire, in milliseconds."""

RENEW: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for index = 2, #ARGV do redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[index]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
"""
"""Also adds what is no longer there: a Redis that was started anew knows of no streams."""


class RedisCounters:
    """Counts for all Gateway processes. Use as an asynchronous context manager.

    Streams are leases that this process renews: one that nobody gives back is free when it expires.

    Args:
        url: Redis's address.
        prefix: Of the keys.
        timeout: Seconds a call may take.
        lease_seconds: After which a stream is free that is not renewed.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "awaaztwin",
        timeout: float = 1.0,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._url = url
        self._prefix = prefix
        self._timeout = timeout
        self._down_until = 0.0
        self._redis: Redis | None = None
        self.attempts = RedisAttempts(self.run)
        self._lease_seconds = lease_seconds
        self._leases: dict[str, str] = {}
        self._owed: dict[str, _Owed] = {}
        self._renewing = False
        self._renew_at = math.inf
        look = min(lease_seconds / RENEWALS, AGAIN_SECONDS)
        self._keeping = Chore("keeping streams in Redis", self._keep, every=look)

    async def __aenter__(self) -> Self:
        """Make the pool; nothing is connected yet."""
        pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType] - its own typing
            self._url,
            max_connections=CONNECTIONS,
            timeout=self._timeout,
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            # Once: a connection that was idle may have been closed since.
            retry=Retry(NoBackoff(), 1),
        )
        self._redis = Redis(connection_pool=pool)
        self._hit = self._redis.register_script(HIT)
        self._take = self._redis.register_script(TAKE)
        self._renew = self._redis.register_script(RENEW)
        self._renew_at = time.monotonic() + self._lease_seconds / RENEWALS
        self._keeping.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give back what is owed, once, and close the connections."""
        await self._keeping.aclose()
        await self._pay()
        if self._redis is not None:
            await self._redis.aclose(close_connection_pool=True)
            await self._redis.connection_pool.disconnect()
            self._redis = None

    async def hit(self, org: str, meter: str, limit: int, seconds: float, *, cost: int = 1) -> RateWindow:
        """See :meth:`services.counters.contract.Counters.hit`."""
        key, span = self._key(org, f"hits:{meter}"), int(seconds * 1_000_000)
        answer: list[int] = await self._call(lambda: self._hit(keys=[key], args=[limit, span, cost]))
        allowed, count, reset, wait = answer
        return RateWindow(bool(allowed), limit, max(0, limit - count), reset / 1_000_000, wait / 1_000_000)

    async def clear(self, org: str, meter: str) -> None:
        """See :meth:`services.counters.contract.Counters.clear`."""
        await self._call(lambda: self._open().delete(self._key(org, f"hits:{meter}")))

    async def acquire_stream(self, org: str, limit: int) -> StreamLease | None:
        """See :meth:`services.counters.contract.Counters.acquire_stream`."""
        key, lease = self._key(org, "streams"), uuid.uuid4().hex
        args: list[Any] = [limit, self._lease_ms, lease]
        try:
            taken = await self._call(lambda: self._take(keys=[key], args=args))
        except BaseException as error:
            # Unless nobody was asked, it may have been taken, and only the answer been lost.
            if not isinstance(error, CountersUnavailable) or error.__cause__ is not None:
                self._owe(lease, key)
            raise
        if not taken:
            return None
        self._leases[lease] = key
        return _Lease(lambda: self._give_back(lease))

    async def ping(self) -> None:
        """See :meth:`services.counters.contract.Counters.ping`."""
        self._down_until = 0.0
        await self._call(lambda: self._open().ping())  # pyright: ignore[reportUnknownMemberType] - as above

    async def run(self, script: str, group: str, names: Sequence[str], args: Sequence[float]) -> Any:  # noqa: ANN401
        """Run a script on keys of one group, which one node of a cluster keeps.

        Args:
            script: In Lua.
            group: Of the keys.
            names: Of the keys in it.
            args: The script's other arguments.

        Raises:
            CountersUnavailable: Redis cannot be reached.
        """
        keys = [self._key(group, name) for name in names]
        return await self._call(lambda: self._open().register_script(script)(keys=keys, args=list(args)))

    @property
    def _lease_ms(self) -> int:
        return math.ceil(self._lease_seconds * 1000)

    async def _give_back(self, lease: str) -> None:
        key = self._leases.pop(lease)
        try:
            await self._call(lambda: self._open().zrem(key, lease))
        except BaseException:
            self._owe(lease, key)
            raise
        if self._renewing:
            # A renewal that began before may come to Redis after.
            self._owe(lease, key)

    def _owe(self, lease: str, key: str) -> None:
        if len(self._owed) < MOST_OWED:
            self._owed[lease] = _Owed(key, time.monotonic() + self._lease_seconds + self._timeout)
        self._keeping.wake()

    async def _keep(self) -> None:
        """Renew what is taken, when it is time, and give back what is owed.

        One after the other: a renewal must not come to Redis after what it renews was given back.
        """
        if time.monotonic() >= self._renew_at and await self._renew_all():
            self._renew_at = time.monotonic() + self._lease_seconds / RENEWALS
        await self._pay()

    async def _renew_all(self) -> bool:
        """Renew the leases of this process; whether Redis was there for all of them."""
        self._renewing = True
        try:
            for key, leases in _by_key(self._leases.items()):
                await self._call(partial(self._renew, keys=[key], args=[self._lease_ms, *leases]))
        except CountersUnavailable as error:
            logger.warning("%d streams are not renewed: %s", len(self._leases), error)
            return False
        finally:
            self._renewing = False
        return True

    async def _pay(self) -> None:
        """Give back what is owed, as far as Redis is there."""
        now = time.monotonic()
        # What has expired is free without us.
        self._owed = {lease: owed for lease, owed in self._owed.items() if now < owed.until}
        try:
            for key, leases in _by_key((lease, owed.key) for lease, owed in self._owed.items()):
                await self._call(partial(self._open().zrem, key, *leases))
                for lease in leases:
                    del self._owed[lease]
        except CountersUnavailable:
            return  # the next round tries again

    async def _call(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - what Redis answers
        if time.monotonic() < self._down_until:
            raise CountersUnavailable("it did not answer a moment ago", retry_after=DOWN_SECONDS)
        try:
            async with asyncio.timeout(self._timeout):
                return await work()
        except (RedisError, OSError, TimeoutError) as error:
            self._down_until = time.monotonic() + DOWN_SECONDS
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CountersUnavailable(reason) from error

    def _open(self) -> Redis:
        if self._redis is None:
            raise CountersUnavailable("it is closed")
        return self._redis

    def _key(self, org: str, name: str) -> str:
        # The braces keep a tenant's keys on one node of a cluster.
        return f"{self._prefix}:{{{org}}}:{name}"


class _Owed(NamedTuple):
    """A stream to give back; ``until`` it expires by itself."""

    key: str
    until: float


def _by_key(leases: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Leases by the key that they are in, :data:`MOST_AT_ONCE` at most for each call."""
    by_key: dict[str, list[str]] = {}
    for lease, key in leases:
        by_key.setdefault(key, []).append(lease)
    return [
        (key, taken[at : at + MOST_AT_ONCE])
        for key, taken in by_key.items()
        for at in range(0, len(taken), MOST_AT_ONCE)
    ]


class _Lease:
    def __init__(self, give_back: Callable[[], Awaitable[None]]) -> None:
        self._give_back: Callable[[], Awaitable[None]] | None = give_back

    async def release(self) -> None:
        """Give it back."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            with suppress(CountersUnavailable):
                await give_back()
