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
        self._busy, self._own, self._begin = _busy(), processor_seconds(), time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self.seconds = time.perf_counter() - self._begin
        used = (_busy() - self._busy) - (processor_seconds() - self._own)
        self.others = max(0.0, used) / (self.seconds * (os.cpu_count() or 1))

    @property
    def dirty(self) -> bool:
        """Whether others used too much for the figure to be trusted."""
        return self.others > DIRTY


def _busy() -> float:
    """Processor seconds that all processes used since the machine started."""
    times = psutil.cpu_times()
    return times.user + times.system + getattr(times, "nice", 0.0) + getattr(times, "steal", 0.0)


def processor_seconds(pid: int | None = None) -> float:
    """Processor seconds of a process and all below it, those that ended included; of this one by default."""
    top = psutil.Process(pid)
    total = 0.0
    for process in [top, *top.children(recursive=True)]:
        try:
            total += sum(process.cpu_times()[:4])  # its own, and those of children it has reaped
        except psutil.NoSuchProcess:
            continue
    return total
