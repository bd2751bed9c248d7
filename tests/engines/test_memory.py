"""What engines take of the host's memory: measured, and shared out."""

import platform
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.config import EngineConfig
from engines.memory import (
    NOTHING,
    Budget,
    Memory,
    Plan,
    Resident,
    estimate,
    plan,
    too_large,
)
from engines.registry import get_engine_adapter

from own_process import in_own_process, taken_by_a_child, taken_by_an_engine

SIZES = st.integers(0, 10)
MEMORIES = st.builds(Memory, SIZES, SIZES)
BUDGETS = st.builds(Budget, ram=st.none() | st.integers(1, 30), vram=st.none() | st.integers(1, 30))


@st.composite
def residents(draw: st.DrawFn) -> list[Resident]:
    return [
        Resident(
            name=str(index),
            memory=draw(MEMORIES),
            idle=draw(st.booleans()),
            last_used=draw(st.integers(0, 3)),
        )
        for index in range(draw(st.integers(0, 6)))
    ]


def total(members: list[Resident], without: tuple[str, ...] = ()) -> Memory:
    return sum((r.memory for r in members if r.name not in without), NOTHING)


@given(residents(), MEMORIES, BUDGETS)
def test_a_plan_fits_and_unloads_nobody_in_vain(members: list[Resident], needed: Memory, budget: Budget):
    found = plan(members, needed, budget)
    by_name = {member.name: member for member in members}
    assert all(by_name[name].idle for name in found.evict), "who is busy stays"
    assert found.enough == budget.holds(total(members, tuple(r.name for r in members if r.idle)) + needed)
    if not found.enough:
        assert not found.evict
        return
    assert budget.holds(total(members, found.evict) + needed)
    for name in found.evict:
        others = tuple(other for other in found.evict if other != name)
        assert not budget.holds(total(members, others) + needed), "each of them was needed"


def resident(name: str, ram: int, last_used: float, *, idle: bool = True, vram: int = 0) -> Resident:
    return Resident(name=name, memory=Memory(ram, vram), idle=idle, last_used=last_used)


def test_the_least_recently_used_goes_first() -> None:
    members = [resident("new", 5, 30), resident("old", 5, 10), resident("busy", 5, 1, idle=False)]
    assert plan(members, Memory(5), Budget(ram=20)) == Plan((), enough=True)
    assert plan(members, Memory(5), Budget(ram=15)) == Plan(("old",), enough=True)
    assert plan(members, Memory(5), Budget(ram=10)) == Plan(("old", "new"), enough=True)
    assert plan(members, Memory(5), Budget(ram=9)) == Plan((), enough=False)


def test_one_that_has_none_of_what_is_short_stays() -> None:
    members = [resident("cpu", 5, 10), resident("gpu", 1, 20, vram=8)]
    assert plan(members, Memory(1, 8), Budget(ram=100, vram=10)) == Plan(("gpu",), enough=True)


def test_a_small_one_is_not_unloaded_when_a_large_one_has_to_go_anyhow() -> None:
    members = [resident("small", 1, 10), resident("large", 9, 20)]
    assert plan(members, Memory(9), Budget(ram=10)) == Plan(("large",), enough=True)


def test_an_engine_larger_than_the_budget_is_told_what_to_change() -> None:
    budget = Budget(ram=1_000_000, vram=2_000_000)
    assert too_large("E", Memory(1_000_000, 2_000_000), budget) is None
    assert too_large("E", Memory(10**12), Budget()) is None
    for needed, key in ((Memory(3_000_000), "memory.ram_bytes"), (Memory(0, 3_000_000), "memory.vram_bytes")):
        error = too_large("E", needed, budget)
        assert error is not None
        assert key in error.message
        assert "3 MB" in error.message


def test_an_engine_says_what_it_needs_or_nothing() -> None:
    config = EngineConfig(name="E", type="SYNTHETIC", options={"memory_mb": 3})
    assert estimate(get_engine_adapter("SYNTHETIC", config)) == Memory(3 * 1024 * 1024)
    assert estimate(get_engine_adapter("ESPEAK", EngineConfig(name="E"))) == NOTHING


def test_child_processes_count() -> None:
    assert in_own_process(taken_by_a_child) >= 50_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="other allocators give back as they see fit")
def test_what_an_engine_took_is_given_back() -> None:
    loaded, freed, after = in_own_process(taken_by_an_engine)
    assert loaded > 60_000_000
    assert freed > 60_000_000, "else this test shows nothing"
    assert after < 10_000_000


ONE_HEAP = """
import ctypes, threading
from engines.memory import share_one_heap

share_one_heap()
allocate = ctypes.CDLL(None).malloc
allocate.restype = ctypes.c_void_p
found = []
threads = [threading.Thread(target=lambda: found.append(allocate(1_000))) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
heap = next(line for line in open("/proc/self/maps") if line.endswith("[heap]\\n"))
first, last = (int(address, 16) for address in heap.split()[0].split("-"))
assert all(first <= address < last for address in found), (heap, found)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone gives each thread a heap")
def test_threads_share_one_heap() -> None:
    subprocess.run([sys.executable, "-c", ONE_HEAP], check=True, timeout=60)
