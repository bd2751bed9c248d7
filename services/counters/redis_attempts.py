"""Counters of failed attempts of several processes, in Redis. Each call is one script; keys expire."""

from collections.abc import Awaitable, Sequence
from typing import Any, Final, Protocol

from services.counters.attempts import FIRST_WAIT_SECONDS, Mark

GROUP: Final = "attempts"

NOW: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
"""

WAIT: Final = f"""{NOW}
local wait = 0
local last = redis.call('EXISTS', KEYS[1]) == 1 and 2 or #KEYS
for at = 2, last do
  local till = redis.call('HGET', KEYS[at], 'till')
  if till then wait = math.max(wait, tonumber(till) - now) end
end
return wait
"""
"""Lua script that returns the wait in milliseconds.

The keys are the key that marks the pair as known, the pair, and the wider marks.
"""

FAIL: Final = f"""{NOW}
local last = redis.call('EXISTS', KEYS[1]) == 1 and 2 or #KEYS
for at = 2, last do
  local free, span, most = tonumber(ARGV[at * 4 - 7]), tonumber(ARGV[at * 4 - 6]), tonumber(ARGV[at * 4 - 5])
  local level, since = unpack(redis.call('HMGET', KEYS[at], 'level', 'till'))
  level = level and math.max(0, tonumber(level) - math.max(0, now - tonumber(since)) * free / span) or 0
  level = math.min(level + 1, tonumber(ARGV[at * 4 - 4]))
  local beyond, wait = math.ceil(level) - free, 0
  if beyond >= 0 then wait = math.min(most, {FIRST_WAIT_SECONDS * 1000} * 2 ^ beyond) end
  local till = string.format('%.0f', now + wait)
  redis.call('HSET', KEYS[at], 'level', string.format('%.6f', level), 'till', till)
  redis.call('PEXPIRE', KEYS[at], math.ceil(wait + level * span / free))
end
return 0
"""
"""Lua script that counts a failure.

The keys are those of :data:`WAIT`. The arguments are the slope of each mark: ``free``, then ``seconds`` and
``most`` in milliseconds, then ``ceiling``.
"""

SUCCEED: Final = """
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[1], 1, 'PX', ARGV[1])
return 0
"""


class Run(Protocol):
    """Signature of :meth:`services.counters.redis.RedisCounters.run`."""

    def __call__(
        self, script: str, group: str, names: Sequence[str], args: Sequence[float]
    ) -> Awaitable[Any]:
        """Run a script."""
        ...


class RedisAttempts:
    """Counters of failures for all Gateway processes.

    Args:
        run: Runs a script in Redis.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    async def wait(self, pair: str, wide: Sequence[str]) -> float:
        """See :meth:`services.counters.attempts.Attempts.wait`."""
        return int(await self._run(WAIT, GROUP, _names(pair, wide), ())) / 1000

    async def fail(self, pair: Mark, wide: Sequence[Mark]) -> None:
        """See :meth:`services.counters.attempts.Attempts.fail`."""
        args: list[float] = []
        for mark in (pair, *wide):
            slope = mark.slope
            args += [slope.free, slope.seconds * 1000, slope.most * 1000, slope.ceiling]
        await self._run(FAIL, GROUP, _names(pair.name, [mark.name for mark in wide]), args)

    async def succeed(self, pair: str, *, seconds: float) -> None:
        """See :meth:`services.counters.attempts.Attempts.succeed`."""
        await self._run(SUCCEED, GROUP, _names(pair, ()), (int(seconds * 1000),))


def _names(pair: str, wide: Sequence[str]) -> list[str]:
    return [f"known:{pair}", pair, *wide]
