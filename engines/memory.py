"""Measuring, estimating, releasing and budgeting the memory of engines.

The policy of a budget is :func:`plan`, a pure function; the runners apply it.
"""

import contextlib
import ctypes
import gc
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from engines import gpu_memory
from engines.contract import EngineAdapter, EngineUnavailable, Weighed, WeighedOnGpu

logger = logging.getLogger(__name__)

_M_ARENA_MAX: Final = -8
"""``M_ARENA_MAX`` of glibc's ``malloc.h``, for ``mallopt``."""


@dataclass(frozen=True, slots=True)
class Memory:
    """An amount of memory.

    Attributes:
        ram: Main memory in bytes.
        vram: GPU memory in bytes.
    """

    ram: int = 0
    vram: int = 0

    def __add__(self, other: "Memory") -> "Memory":
        """Return the sum."""
        return Memory(self.ram + other.ram, self.vram + other.vram)

    def since(self, earlier: "Memory") -> "Memory":
        """Return the increase since ``earlier``, at least zero."""
        return Memory(max(0, self.ram - earlier.ram), max(0, self.vram - earlier.vram))

    def most(self, other: "Memory") -> "Memory":
        """Return the element-wise maximum."""
        return Memory(max(self.ram, other.ram), max(self.vram, other.vram))


NOTHING: Final = Memory()


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits for all engines of a host together; ``None`` is unlimited.

    Attributes:
        ram: Main memory in bytes.
        vram: GPU memory in bytes.
    """

    ram: int | None = None
    vram: int | None = None

    @property
    def limits(self) -> bool:
        """Whether any memory is limited."""
        return self.ram is not None or self.vram is not None

    def over(self, total: Memory) -> Memory:
        """Return the amount by which ``total`` exceeds the budget."""
        return Memory(
            0 if self.ram is None else max(0, total.ram - self.ram),
            0 if self.vram is None else max(0, total.vram - self.vram),
        )

    def holds(self, total: Memory) -> bool:
        """Whether ``total`` fits into the budget."""
        return self.over(total) == NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """A loaded engine.

    Attributes:
        name: Configured name.
        memory: Memory that it takes.
        idle: Whether it is neither in use nor waited for.
        last_used: Time of its last use in Unix seconds.
    """

    name: str
    memory: Memory
    idle: bool
    last_used: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How to make room for an engine.

    Attributes:
        evict: Names of the engines to unload, in order.
        enough: Whether unloading them makes enough room; if not, busy engines hold the memory.
    """

    evict: tuple[str, ...]
    enough: bool


def plan(residents: Sequence[Resident], needed: Memory, budget: Budget) -> Plan:
    """Choose idle engines to unload so that ``needed`` fits into the budget, least recently used first.

    No engine is unloaded in vain: neither an engine without the scarce kind of memory, nor any if even
    unloading all of them would not suffice.

    Args:
        residents: The loaded engines, without the one to load.
        needed: Memory of the engine to load; within the budget, see :func:`too_large`.
        budget: The common budget.
    """
    total = sum((resident.memory for resident in residents), needed)
    going: list[Resident] = []
    for resident in sorted((r for r in residents if r.idle), key=lambda r: r.last_used):
        short = budget.over(total)
        if (short.ram and resident.memory.ram) or (short.vram and resident.memory.vram):
            going.append(resident)
            total = total.since(resident.memory)
    if not budget.holds(total):
        return Plan((), enough=False)
    # A large engine chosen late may make an earlier choice unnecessary.
    for resident in reversed(going.copy()):
        if budget.holds(total + resident.memory):
            going.remove(resident)
            total += resident.memory
    return Plan(tuple(resident.name for resident in going), enough=True)


def too_large(name: str, needed: Memory, budget: Budget) -> EngineUnavailable | None:
    """Return the error for an engine that exceeds the budget even alone; ``None`` if it fits."""
    over = budget.over(needed)
    if over.ram and budget.ram is not None:
        have, limit, key, kind = needed.ram, budget.ram, "memory.ram_bytes", "memory"
    elif over.vram and budget.vram is not None:
        have, limit, key, kind = needed.vram, budget.vram, "memory.vram_bytes", "GPU memory"
    else:
        return None
    return EngineUnavailable(
        f"The engine {name} needs about {megabytes(have)} of {kind}; all engines together can take "
        f"{megabytes(limit)}. Raise {key}.",
        retry_after=60.0,
    )


def megabytes(size: int) -> str:
    """Return a size in bytes as text in megabytes."""
    return f"{size / 1e6:,.0f} MB"


def estimate(engine: EngineAdapter) -> Memory:
    """Return the engine's own estimate of its memory; zero if it has none."""
    return Memory(
        engine.memory_needed if isinstance(engine, Weighed) else 0,
        engine.vram_needed if isinstance(engine, WeighedOnGpu) else 0,
    )


class NoRoom(EngineUnavailable):
    """Busy engines hold the memory; nothing is wrong with the engine to load."""


class Room(Protocol):
    """Reserves memory for one engine, coordinated with the processes of others."""

    async def take(self, needed: Memory, /) -> None:
        """Reserve memory for the engine, once other engines have released it if necessary.

        Raises:
            NoRoom: Busy engines hold the memory.
            EngineUnavailable: The engine exceeds the budget, or the state is unknown.
        """
        ...

    def keep(self, memory: Memory, /) -> None:
        """Record the measured memory of the loaded engine."""
        ...

    def leave(self) -> None:
        """Record that the engine has released its memory."""
        ...


class Boundless:
    """Unlimited memory."""

    async def take(self, needed: Memory, /) -> None:
        """Do nothing: memory is unlimited."""

    def keep(self, memory: Memory, /) -> None:
        """Do nothing."""

    def leave(self) -> None:
        """Do nothing."""


def measure() -> Memory:
    """Return the memory of this process and its children: resident main memory, and GPU memory.

    Shared pages are counted once per process.
    """
    try:
        import psutil  # noqa: PLC0415 - the server's; the contract is there without it
    except ImportError:
        return Memory(_resident_of_this(), gpu_memory.of_processes({os.getpid()}))
    this = psutil.Process()
    processes = [this, *this.children(recursive=True)]
    resident = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            resident += process.memory_info().rss
    return Memory(resident, gpu_memory.of_processes({process.pid for process in processes}))


def reclaim() -> None:
    """Return this process's unused memory to the system: Python's, PyTorch's and the allocator's."""
    gc.collect()
    gpu_memory.release()
    trim()


def trim() -> None:
    """Return the allocator's free memory to the system; takes milliseconds."""
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).malloc_trim(0)
        except (OSError, AttributeError):  # musl lacks it, and returns memory by itself
            logger.debug("this C library has no malloc_trim")


def share_one_heap() -> None:
    """Make all threads of this process allocate from one heap, with glibc.

    By default each thread has its own heap, which is fragmented by large arrays of varying lengths: with two
    threads, ONNX Runtime grew to 2.5 GB in 30 phrases; with one heap it stayed at 0.4 GB, and was as fast.
    """
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
        except (OSError, AttributeError):
            logger.debug("this C library has no mallopt")


def _resident_of_this() -> int:
    """Return the resident memory of this process in bytes, on Linux; 0 (unknown) elsewhere."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no path of ours
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
