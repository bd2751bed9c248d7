"""Counters of several processes, in Redis.

Each call runs one script, so it is atomic, takes one round trip and uses Redis's clock. (The library
``limits`` is not used: its moving window takes two round trips and uses the caller's clock, and its in-memory
counters start a thread for every key at every hit.)
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
"""Maximum number of connections per process."""

DOWN_SECONDS: Final = 1.0
"""Seconds after a failure in which calls fail at once, so that requests do not all wait during an outage."""

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
"""Lua script that counts hits, in a list of their times in microseconds, newest first."""

LEASE_SECONDS: Final = 20.0
"""Seconds after which a stream expires that is neither renewed nor released, as when its process has died."""

RENEWALS: Final = 4
"""Number of renewals per lease time, so that three may fail."""

AGAIN_SECONDS: Final = 0.5
"""Maximum seconds between two rounds of due renewals and pending releases."""

MOST_OWED: Final = 10_000
"""Maximum number of pending releases; further streams expire instead."""

MOST_AT_ONCE: Final = 1_000
"""Maximum number of streams per call, so that no call blocks Redis for long."""

TAKE: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
"""Lua script that takes a stream, in a sorted set by the time of expiry in milliseconds."""

RENEW: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for index = 2, #ARGV do redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[index]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
"""
"""Lua script that renews streams; it also adds missing ones, since Redis may have lost them in a restart."""


class RedisCounters:
    """Counters for all Gateway processes. Use as an asynchronous context manager.

    Streams are leases that this process renews. A stream that is never released expires.

    Args:
        url: URL of Redis.
        prefix: Prefix of the keys.
        timeout: Maximum seconds of a call.
        lease_seconds: Seconds after which a stream expires that is not renewed.
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
        """Create the connection pool, without connecting yet."""
        pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType] - its own typing
            self._url,
            max_connections=CONNECTIONS,
            timeout=self._timeout,
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            # Retry once, because an idle connection may have been closed.
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
        """Try once to make the pending releases, and close the connections."""
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
            # If Redis was asked, the stream may have been taken, and only the response lost.
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
        """Run a script on keys of one group, which are on one node of a cluster.

        Args:
            script: The script, in Lua.
            group: Name of the group.
            names: Names of the keys in the group.
            args: Further arguments of the script.

        Returns:
            The script's result.

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
            # Redis may process a concurrent renewal after the release.
            self._owe(lease, key)

    def _owe(self, lease: str, key: str) -> None:
        if len(self._owed) < MOST_OWED:
            self._owed[lease] = _Owed(key, time.monotonic() + self._lease_seconds + self._timeout)
        self._keeping.wake()

    async def _keep(self) -> None:
        """Renew leases if they are due, then make the pending releases.

        They run one after the other, so that Redis does not process a renewal after the stream's release.
        """
        if time.monotonic() >= self._renew_at and await self._renew_all():
            self._renew_at = time.monotonic() + self._lease_seconds / RENEWALS
        await self._pay()

    async def _renew_all(self) -> bool:
        """Renew the leases of this process; return whether all of them were renewed."""
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
        """Make the pending releases, until Redis fails."""
        now = time.monotonic()
        # Expired streams need no release.
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
        # The braces are a hash tag, which keeps a tenant's keys on one node of a cluster.
        return f"{self._prefix}:{{{org}}}:{name}"


class _Owed(NamedTuple):
    """A pending release of the stream in ``key``, needed until ``until`` (by :func:`time.monotonic`)."""

    key: str
    until: float


def _by_key(leases: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Group leases by key, in batches of at most :data:`MOST_AT_ONCE`."""
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
        """Release the stream; idempotent. Failures are retried in the background."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            with suppress(CountersUnavailable):
                await give_back()
