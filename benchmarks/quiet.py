"""Whether anybody else used the processors while something was measured."""

import os
import time
from types import TracebackType
from typing import Final, Self

import psutil

DIRTY: Final = 0.08
"""Share of all processors: with more than that used by others, a measurement is marked."""


class Watch:
    """Measures the wall time of a block, and what processes other than this one's use meanwhile.

    This one's are all below it, so servers and workers that the benchmark started are not others.
    """

    seconds = 0.0
    others = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        self._busy, self._own, self._begin = _busy(), _own(), time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self.seconds = time.perf_counter() - self._begin
        used = (_busy() - self._busy) - (_own() - self._own)
        self.others = max(0.0, used) / (self.seconds * (os.cpu_count() or 1))

    @property
    def dirty(self) -> bool:
        """Whether others used too much for the figure to be trusted."""
        return self.others > DIRTY


def _busy() -> float:
    """Processor seconds that all processes used since the machine started."""
    times = psutil.cpu_times()
    return times.user + times.system + getattr(times, "nice", 0.0) + getattr(times, "steal", 0.0)


def _own() -> float:
    """Processor seconds of this process and all below it, those that ended included."""
    me = psutil.Process()
    total = 0.0
    for process in [me, *me.children(recursive=True)]:
        try:
            total += sum(process.cpu_times()[:4])  # its own, and those of children it has reaped
        except psutil.NoSuchProcess:
            continue
    return total
