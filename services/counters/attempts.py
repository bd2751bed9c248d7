"""Counting failed attempts, such as wrong passwords, and the wait until the next attempt.

Failures decay over time. Each failure beyond the free ones doubles the wait. Accounts are never locked.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from cachetools import FIFOCache

FIRST_WAIT_SECONDS: Final = 1.0
"""Seconds of the first wait; each further wait is twice as long as the previous one."""

KEPT: Final = 20_000
"""Maximum number of marks, and of known pairs, kept in memory; the oldest are evicted first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """Parameters of the growth of waits.

    Attributes:
        free: Number of failures before the first wait.
        seconds: Seconds in which ``free`` failures decay; the decay pauses during a wait.
        most: Maximum seconds of a wait.
    """

    free: int
    seconds: float
    most: float

    @property
    def ceiling(self) -> int:
        """Number of failures beyond which waits do not grow."""
        return self.free + math.ceil(math.log2(max(1.0, self.most / FIRST_WAIT_SECONDS)))


class Mark(NamedTuple):
    """A key under which failures are counted.

    Attributes:
        name: Name of the key.
        slope: Parameters of its waits.
    """

    name: str
    slope: Slope


class Attempts(Protocol):
    """Counters of failures, by mark. A call takes at most a second."""

    async def wait(self, pair: str, wide: Sequence[str]) -> float:
        """Return the seconds until the next attempt is allowed; 0 if it is allowed now.

        Args:
            pair: Name of the narrowest mark, such as an account from one address.
            wide: Names of wider marks, such as the account from any address. They are ignored if the pair is
                known, see :meth:`succeed`.

        Raises:
            CountersUnavailable: The counters cannot be reached.
        """
        ...

    async def fail(self, pair: Mark, wide: Sequence[Mark]) -> None:
        """Count a failure for a pair and, unless the pair is known, for the wider marks.

        Raises:
            CountersUnavailable: The counters cannot be reached.
        """
        ...

    async def succeed(self, pair: str, *, seconds: float) -> None:
        """Reset a pair's failures, and mark the pair as known.

        Args:
            pair: Name of the pair's mark.
            seconds: Seconds for which the pair stays known.

        Raises:
            CountersUnavailable: The counters cannot be reached.
        """
        ...


class MemoryAttempts:
    """Counters of failures for one process, in bounded memory."""

    def __init__(self) -> None:
        # FIFO instead of LRU: reading a mark must not keep it in memory.
        self._levels: FIFOCache[str, tuple[float, float]] = FIFOCache(KEPT)
        self._known: FIFOCache[str, float] = FIFOCache(KEPT)

    async def wait(self, pair: str, wide: Sequence[str]) -> float:
        """See :meth:`Attempts.wait`."""
        now = time.monotonic()
        marks = [pair] if self._knows(pair, now) else [pair, *wide]
        return max([0.0, *(self._levels[mark][1] - now for mark in marks if mark in self._levels)])

    async def fail(self, pair: Mark, wide: Sequence[Mark]) -> None:
        """See :meth:`Attempts.fail`."""
        now = time.monotonic()
        for mark in [pair] if self._knows(pair.name, now) else [pair, *wide]:
            slope = mark.slope
            level, since = self._levels.get(mark.name, (0.0, now))
            level = max(0.0, level - max(0.0, now - since) * slope.free / slope.seconds)
            level = min(level + 1, slope.ceiling)
            beyond = math.ceil(level) - slope.free
            wait = min(slope.most, FIRST_WAIT_SECONDS * 2.0**beyond) if beyond >= 0 else 0.0
            self._levels[mark.name] = (level, now + wait)

    async def succeed(self, pair: str, *, seconds: float) -> None:
        """See :meth:`Attempts.succeed`."""
        self._levels.pop(pair, None)
        self._known[pair] = time.monotonic() + seconds

    def _knows(self, pair: str, now: float) -> bool:
        return self._known.get(pair, 0.0) > now
