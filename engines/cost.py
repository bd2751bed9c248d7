"""A model of the cost of batches, fitted to recent ones: ``base + item · n`` seconds for ``n`` utterances."""

from collections import deque
from dataclasses import dataclass
from typing import Final

WINDOW: Final = 32
"""Number of recent batches; small, to adapt quickly to changes (another model, a busier machine)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost in seconds: ``base`` per batch, and ``item`` per utterance in it."""

    base: float
    item: float

    def of(self, size: int) -> float:
        """Return the cost of a batch of ``size`` utterances in seconds."""
        return self.base + self.item * size


class CostModel:
    """Least-squares fit of the sizes and durations of the last :data:`WINDOW` batches.

    If all batches have the same size, the whole cost is attributed to the items, so that the batcher does not
    wait because of a base that was never observed.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[int, float]] = deque(maxlen=WINDOW)
        self._estimate = Cost(0.0, 0.0)

    @property
    def estimate(self) -> Cost:
        """The current estimate; zero before any observation."""
        return self._estimate

    def observe(self, size: int, seconds: float) -> None:
        """Record that a batch of ``size`` took ``seconds``."""
        self._seen.append((size, seconds))
        self._estimate = self._fit()

    def _fit(self) -> Cost:
        count = len(self._seen)
        mean_size = sum(size for size, _ in self._seen) / count
        mean_seconds = sum(seconds for _, seconds in self._seen) / count
        spread = sum((size - mean_size) ** 2 for size, _ in self._seen)
        if spread == 0.0:
            return Cost(0.0, mean_seconds / mean_size)
        slope = sum((n - mean_size) * (s - mean_seconds) for n, s in self._seen) / spread
        slope = max(0.0, slope)
        shortest = min(seconds for _, seconds in self._seen)
        base = min(max(0.0, mean_seconds - slope * mean_size), shortest)
        return Cost(base, slope)
