"""Counting failed attempts, such as wrong passwords, and how long the next one has to wait.

Failures are forgotten one after another; each beyond what is free doubles the wait. Nothing is ever locked.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from cachetools import FIFOCache

FIRST_WAIT_SECONDS: Final = 1.0
"""Seconds of the first wait; each one after it is twice as long as the one before."""

KEPT: Final = 20_000
"""Marks, and pairs that are known, that memory holds; the oldest go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """How waits grow.

    Attributes:
        free: Failures without a wait between them.
        seconds: Time in which that many are forgotten. It runs while no wait does.
        most: Seconds of the longest wait.
    """

    free: int
    seconds: float
    most: float

    @property
    def ceiling(self) -> int:
        """Failures beyond which waits do not grow."""
        return self.free + math.ceil(math.log2(max(1.0, self.most / FIRST_WAIT_SECONDS)))


class Mark(NamedTuple):
    """What is counted together.

    Attributes:
        name: Its key.
        slope: How its waits grow.
    """

    name: str
    slope: Slope


class Attempts(Protocol):
    """Failures by mark. A call takes a second at most."""

    async def wait(self, pair: str, wide: Sequence[str]) -> float:
        """Seconds until the next attempt may be made; 0 is now.

        Args:
            pair: The narrowest mark, such as an account from one address.
            wide: Wider ones, such as the account from anywhere. They count for pairs that never succeeded.

        Raises:
            CountersUnavailable: They cannot be asked.
        """
        ...

    async def fail(self, pair: Mark, wide: Sequence[Mark]) -> None:
        """Count a failure of a pair and, for a pair that never succeeded, of the wider marks.

        Raises:
            CountersUnavailable: They cannot be counted.
        """
        ...

    async def succeed(self, pair: str, *, seconds: float) -> None:
        """Forget a pair's failures, and know it for a time.

        Raises:
            CountersUnavailable: They cannot be reached.
        """
        ...


class MemoryAttempts:
    """Counts for one process, in bounded memory."""

    def __init__(self) -> None:
        # By when they last failed or succeeded: asking does not keep a mark.
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
