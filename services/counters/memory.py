"""Counters of one process, in memory."""

import time
from collections import deque
from typing import Final

from services.counters.attempts import MemoryAttempts
from services.counters.contract import RateWindow, StreamLease

SWEEP: Final = 1_000
"""Number of hits between two sweeps of expired windows."""


class MemoryCounters:
    """Counters for one Gateway process. Memory is bounded by the hits that the limits allow."""

    def __init__(self) -> None:
        self.attempts = MemoryAttempts()
        self._windows: dict[tuple[str, str], tuple[float, deque[float]]] = {}
        self._streams: dict[str, int] = {}
        self._hits = 0

    async def hit(self, org: str, meter: str, limit: int, seconds: float, *, cost: int = 1) -> RateWindow:
        """See :meth:`services.counters.contract.Counters.hit`."""
        now = time.monotonic()
        self._hits += 1
        if self._hits % SWEEP == 0:
            self._sweep(now)
        _, hits = self._windows.get((org, meter), (seconds, deque[float]()))
        while hits and hits[0] <= now - seconds:
            hits.popleft()
        allowed = len(hits) + cost <= limit
        if allowed:
            hits.extend([now] * cost)
            self._windows[org, meter] = (seconds, hits)
        reset = hits[0] + seconds - now if hits else 0.0
        over = len(hits) + cost - limit
        retry = 0.0 if allowed else seconds if cost > limit else hits[over - 1] + seconds - now
        return RateWindow(allowed, limit, max(0, limit - len(hits)), reset, retry)

    async def clear(self, org: str, meter: str) -> None:
        """See :meth:`services.counters.contract.Counters.clear`."""
        self._windows.pop((org, meter), None)

    async def acquire_stream(self, org: str, limit: int) -> StreamLease | None:
        """See :meth:`services.counters.contract.Counters.acquire_stream`."""
        taken = self._streams.get(org, 0)
        if taken >= limit:
            return None
        self._streams[org] = taken + 1
        return _Lease(self._streams, org)

    async def ping(self) -> None:
        """Do nothing, since memory is always available."""

    def _sweep(self, now: float) -> None:
        # A window is empty if its hits had expired when a hit was refused that costs more than the limit.
        over = [
            key for key, (seconds, hits) in self._windows.items() if not hits or hits[-1] <= now - seconds
        ]
        for key in over:
            del self._windows[key]


class _Lease:
    def __init__(self, streams: dict[str, int], org: str) -> None:
        self._streams = streams
        self._org: str | None = org

    async def release(self) -> None:
        """Release the stream; idempotent."""
        if self._org is None:
            return
        left = self._streams[self._org] - 1
        if left:
            self._streams[self._org] = left
        else:
            del self._streams[self._org]
        self._org = None
