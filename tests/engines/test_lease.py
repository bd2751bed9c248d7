"""The model lease."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from engines.config import EngineConfig
from engines.contract import EngineUnavailable
from engines.lease import EngineState, ModelLease
from engines.memory import Memory, NoRoom
from engines.synthetic import SyntheticEngine


class Counted(SyntheticEngine):
    """Counts its loads and closes, and waits or fails in between as the test says."""

    def __init__(self) -> None:
        super().__init__(EngineConfig(name="counted", type="SYNTHETIC"))
        self.loads = 0
        self.closes = 0
        self.error: Exception | None = None
        self.closed = asyncio.Event()
        self.may_load = asyncio.Event()
        self.may_load.set()

    async def load(self) -> None:
        await self.may_load.wait()
        self.loads += 1
        if self.error is not None:
            raise self.error
        await super().load()

    async def close(self) -> None:
        self.closes += 1
        await super().close()
        self.closed.set()


def make(engine: Counted, idle: float = 0.0, clock: Callable[[], float] | None = None) -> ModelLease:
    if clock is None:
        return ModelLease(engine, idle_seconds=idle)
    return ModelLease(engine, idle_seconds=idle, clock=clock)


async def test_it_loads_once_for_all_who_come_together() -> None:
    engine = Counted()
    lease = make(engine)
    engine.may_load.clear()
    inside = asyncio.Semaphore(0)

    async def use() -> None:
        async with lease.hold():
            inside.release()

    users = [asyncio.create_task(use()) for _ in range(5)]
    await asyncio.sleep(0)
    assert lease.holders == 5
    engine.may_load.set()
    await asyncio.gather(*users)
    assert engine.loads == 1
    assert lease.state is EngineState.WARM
    await lease.close()
    assert lease.state is EngineState.COLD


async def test_it_unloads_when_idle_and_loads_again() -> None:
    engine = Counted()
    lease = make(engine, idle=0.01)
    async with lease.hold():
        pass
    await asyncio.wait_for(engine.closed.wait(), 5)
    assert lease.state is EngineState.COLD
    async with lease.hold():
        assert lease.state is EngineState.WARM
    assert engine.loads == 2
    await lease.close()


async def test_a_holder_keeps_it_loaded() -> None:
    engine = Counted()
    lease = make(engine, idle=0.01)
    async with lease.hold():
        async with lease.hold():
            pass
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engine.closed.wait(), 0.1)
    await asyncio.wait_for(engine.closed.wait(), 5)
    await lease.close()


async def test_a_failed_load_is_shown_and_tried_again_after_the_backoff() -> None:
    now = [0.0]
    engine = Counted()
    lease = make(engine, clock=lambda: now[0])
    engine.error = EngineUnavailable("the weights are missing")
    for expected in (1.0, 2.0, 4.0):
        with pytest.raises(EngineUnavailable, match="weights"):
            await lease.hold().__aenter__()
        assert lease.state is EngineState.FAILED
        assert lease.reason == "the weights are missing"
        loads = engine.loads
        with pytest.raises(EngineUnavailable, match="weights") as caught:
            await lease.hold().__aenter__()
        assert engine.loads == loads
        assert caught.value.retry_after == pytest.approx(expected)
        now[0] += expected
    engine.error = None
    async with lease.hold():
        assert lease.state is EngineState.WARM
    assert lease.reason is None
    await lease.close()


async def test_a_defect_while_loading_is_a_failed_load() -> None:
    engine = Counted()
    engine.error = ZeroDivisionError("oops")
    lease = make(engine)
    with pytest.raises(EngineUnavailable, match="oops"):
        await lease.hold().__aenter__()
    assert lease.holders == 0
    assert engine.closes == 1
    await lease.close()


async def test_a_caller_who_gives_up_does_not_stop_the_load() -> None:
    engine = Counted()
    engine.may_load.clear()
    lease = make(engine)

    async def use() -> None:
        async with lease.hold():
            pass

    impatient, patient = asyncio.create_task(use()), asyncio.create_task(use())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    engine.may_load.set()
    await patient
    assert engine.loads == 1
    await lease.close()


async def test_closed_is_closed() -> None:
    lease = make(Counted())
    await lease.close()
    with pytest.raises(EngineUnavailable):
        await lease.hold().__aenter__()


class Warming(Counted):
    """Warms up, or fails at it."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[EngineState] = []
        self.lease: ModelLease | None = None
        self.cannot: Exception | None = None

    async def warm_up(self) -> None:
        assert self.lease is not None
        self.states.append(self.lease.state)
        if self.cannot is not None:
            raise self.cannot


async def test_a_load_is_counted_and_measured_with_its_warm_up_apart() -> None:
    now = [0.0]
    engine = Warming()
    lease = engine.lease = make(engine, clock=lambda: now[0])
    assert lease.figures.load_seconds is None
    loaded = engine.load

    async def load() -> None:
        now[0] += 3
        await loaded()

    async def warm_up() -> None:
        now[0] += 2
        await Warming.warm_up(engine)

    engine.load, engine.warm_up = load, warm_up  # type: ignore[method-assign]  # they take time
    async with lease.hold():
        assert engine.states == [EngineState.LOADING]
    figures = lease.figures
    assert (figures.loads, figures.failures, figures.unloads) == (1, 0, 0)
    assert (figures.load_seconds, figures.warm_up_seconds) == (3, 2)
    assert figures.last_used is not None
    assert figures.process.ram > 0
    await lease.close()


async def test_a_warm_up_that_fails_is_a_failed_load() -> None:
    engine = Warming()
    lease = engine.lease = make(engine)
    engine.cannot = EngineUnavailable("not a word")
    with pytest.raises(EngineUnavailable, match="not a word"):
        await lease.hold().__aenter__()
    assert lease.state is EngineState.FAILED
    assert (lease.figures.loads, lease.figures.failures, engine.closes) == (0, 1, 1)
    await lease.close()


async def test_it_makes_room_for_another_unless_it_is_held_or_loading() -> None:
    engine = Counted()
    lease = make(engine)
    assert await lease.evict(), "there is nothing to unload"
    engine.may_load.clear()
    user = asyncio.create_task(lease.hold().__aenter__())
    while lease.state is not EngineState.LOADING:
        await asyncio.sleep(0)
    assert not await lease.evict()
    engine.may_load.set()
    await user
    assert not await lease.evict()
    assert (lease.state, engine.closes) == (EngineState.WARM, 0)
    await lease.close()

    lease = make(engine := Counted())
    async with lease.hold():
        pass
    assert await lease.evict()
    assert (lease.state, lease.figures.unloads, engine.closes) == (EngineState.COLD, 1, 1)
    async with lease.hold():
        assert engine.loads == 2
    await lease.close()


class Ledger:
    """Room that is there or not, as the test says."""

    def __init__(self) -> None:
        self.error: EngineUnavailable | None = None
        self.taken: Memory | None = None

    async def take(self, needed: Memory) -> None:
        if self.error is not None:
            raise self.error
        self.taken = needed

    def keep(self, memory: Memory) -> None:
        self.taken = memory

    def leave(self) -> None:
        self.taken = None


async def test_memory_is_taken_before_a_load_and_left_after_an_unload() -> None:
    engine, room = Counted(), Ledger()
    lease = ModelLease(engine, idle_seconds=0, room=room)
    async with lease.hold():
        assert room.taken is not None
    assert room.taken is not None
    assert await lease.evict()
    assert room.taken is None
    engine.error = EngineUnavailable("broken")
    with pytest.raises(EngineUnavailable, match="broken"):
        await lease.hold().__aenter__()
    assert room.taken is None
    await lease.close()


async def test_an_engine_without_room_stays_cold_and_one_that_will_never_have_it_has_failed() -> None:
    engine, room = Counted(), Ledger()
    lease = ModelLease(engine, idle_seconds=0, room=room)
    room.error = NoRoom("the others are busy", retry_after=7)
    with pytest.raises(EngineUnavailable, match="busy") as caught:
        await lease.hold().__aenter__()
    assert caught.value.retry_after == 7
    assert (lease.state, lease.figures.failures, engine.loads) == (EngineState.COLD, 0, 0)
    room.error = EngineUnavailable("too large", retry_after=60)
    with pytest.raises(EngineUnavailable, match="too large"):
        await lease.hold().__aenter__()
    assert (lease.state, lease.reason, engine.loads) == (EngineState.FAILED, "too large", 0)
    await lease.close()


CALLER: ContextVar[str | None] = ContextVar("caller", default=None)


class Contextual(Counted):
    """Notes in whose context it is loaded and closed."""

    def __init__(self) -> None:
        super().__init__()
        self.callers: list[str | None] = []

    async def load(self) -> None:
        self.callers.append(CALLER.get())
        await super().load()

    async def close(self) -> None:
        self.callers.append(CALLER.get())
        await super().close()


async def test_a_load_and_an_unload_are_nobodys() -> None:
    engine = Contextual()
    lease = make(engine, idle=0.01)

    async def use() -> None:
        CALLER.set("a")
        async with lease.hold():
            pass

    await asyncio.create_task(use())
    await engine.closed.wait()
    CALLER.set("b")
    async with lease.hold():
        pass
    assert await lease.evict()
    assert engine.callers == [None, None, None, None]
    await lease.close()
