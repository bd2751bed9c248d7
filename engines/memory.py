"""What engines take of the host's memory: measured, estimated, given back, and shared out.

The policy of a budget is :func:`plan`, a function of what is known; who asks whom is the runners' business.
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
"""Of mallopt, in malloc.h."""


@dataclass(frozen=True, slots=True)
class Memory:
    """An amount of memory.

    Attributes:
        ram: Bytes of main memory.
        vram: Bytes of the GPU's.
    """

    ram: int = 0
    vram: int = 0

    def __add__(self, other: "Memory") -> "Memory":
        """Both together."""
        return Memory(self.ram + other.ram, self.vram + other.vram)

    def since(self, earlier: "Memory") -> "Memory":
        """What was added since ``earlier``, at least nothing."""
        return Memory(max(0, self.ram - earlier.ram), max(0, self.vram - earlier.vram))

    def most(self, other: "Memory") -> "Memory":
        """The larger of each."""
        return Memory(max(self.ram, other.ram), max(self.vram, other.vram))


NOTHING: Final = Memory()


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What all engines of a host may take together; ``None`` is as much as they like.

    Attributes:
        ram: Bytes of main memory.
        vram: Bytes of the GPU's.
    """

    ram: int | None = None
    vram: int | None = None

    @property
    def limits(self) -> bool:
        """Whether it limits anything."""
        return self.ram is not None or self.vram is not None

    def over(self, total: Memory) -> Memory:
        """By how much ``total`` exceeds it."""
        return Memory(
            0 if self.ram is None else max(0, total.ram - self.ram),
            0 if self.vram is None else max(0, total.vram - self.vram),
        )

    def holds(self, total: Memory) -> bool:
        """Whether ``total`` fits."""
        return self.over(total) == NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """An engine that has memory now.

    Attributes:
        name: Its name.
        memory: What it has.
        idle: Nobody is using it, nor waiting for it.
        last_used: When somebody last did, in Unix seconds.
    """

    name: str
    memory: Memory
    idle: bool
    last_used: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How to make room for an engine.

    Attributes:
        evict: The engines to unload, in order.
        enough: Whether there is room once they are gone; if not, one that is busy now stands in the way.
    """

    evict: tuple[str, ...]
    enough: bool


def plan(residents: Sequence[Resident], needed: Memory, budget: Budget) -> Plan:
    """Whom to unload so that ``needed`` fits into the budget: idle engines, the least recently used first.

    Nobody is unloaded in vain: neither an engine without what is short, nor any while the rest would
    still not be enough.

    Args:
        residents: The engines that have memory now; not the one that asks.
        needed: What the one that asks will take; within the budget, see :func:`too_large`.
        budget: What all of them may take.
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
    # A large one that went late may have made the sacrifice of an early one needless.
    for resident in reversed(going.copy()):
        if budget.holds(total + resident.memory):
            going.remove(resident)
            total += resident.memory
    return Plan(tuple(resident.name for resident in going), enough=True)


def too_large(name: str, needed: Memory, budget: Budget) -> EngineUnavailable | None:
    """The error of an engine that does not fit even alone."""
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
    """A size for people."""
    return f"{size / 1e6:,.0f} MB"


def estimate(engine: EngineAdapter) -> Memory:
    """What the engine says that it will take; nothing where it does not know."""
    return Memory(
        engine.memory_needed if isinstance(engine, Weighed) else 0,
        engine.vram_needed if isinstance(engine, WeighedOnGpu) else 0,
    )


class NoRoom(EngineUnavailable):
    """Other engines have the memory and are busy. Nothing is wrong with the engine that asks."""


class Room(Protocol):
    """Where the engines of several processes ask for memory before they load."""

    async def take(self, needed: Memory, /) -> None:
        """Take room for the engine, once others have made it.

        Raises:
            NoRoom: They are busy.
            EngineUnavailable: There will never be as much, or it cannot be known.
        """
        ...

    def keep(self, memory: Memory, /) -> None:
        """The engine is loaded, and this is what it takes in truth."""
        ...

    def leave(self) -> None:
        """The engine has given its memory back."""
        ...


class Boundless:
    """Room for all, where there is no budget."""

    async def take(self, needed: Memory, /) -> None:
        """There is room."""

    def keep(self, memory: Memory, /) -> None:
        """Nobody keeps count."""

    def leave(self) -> None:
        """Nobody kept count."""


def measure() -> Memory:
    """What this process and its children have now: resident main memory, and the GPU's.

    Pages that they share count for each of them.
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
    """Give what this process no longer uses back to the system: Python's, PyTorch's and the allocator's."""
    gc.collect()
    gpu_memory.release()
    trim()


def trim() -> None:
    """Give what the allocator holds free back to the system; milliseconds."""
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).malloc_trim(0)
        except (OSError, AttributeError):  # musl has none, and gives back by itself
            logger.debug("this C library has no malloc_trim")


def share_one_heap() -> None:
    """Make all threads of this process allocate from one heap, where the C library is glibc.

    It gives each thread one of its own, which keeps what large arrays of ever new lengths leave behind: with
    two threads ONNX Runtime's grew to 2.5 GB in 30 phrases; with one heap it stood at 0.4 GB, no slower.
    """
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
        except (OSError, AttributeError):
            logger.debug("this C library has no mallopt")


def _resident_of_this() -> int:
    """Linux' own count for this process alone; elsewhere 0, which stands for unknown."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no path of ours
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
