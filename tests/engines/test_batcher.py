"""The batcher, on the synthetic engine and on small engines of the tests' own."""

import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engines.batcher import Batcher
from engines.config import BatchingConfig, EngineConfig
from engines.contract import (
    Abandoned,
    Capabilities,
    EngineAdapter,
    EngineOverloaded,
    EngineUnavailable,
    Outcome,
    Speech,
    UnsupportedUtterance,
    Utterance,
)
from engines.synthetic import SyntheticEngine
from engines.ticket import Ticket


class Gated(SyntheticEngine):
    """Records its batches and lets one pass whenever the test opens the gate."""

    def __init__(self, **options: Any) -> None:
        super().__init__(EngineConfig(name="gated", type="SYNTHETIC", options={"base_ms": 0, **options}))
        self.batches: list[list[str]] = []
        self.gate = asyncio.Semaphore(0)
        self.entered = asyncio.Semaphore(0)
        self._loaded = True

    async def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[Any, None]:
        self.batches.append([utterance.text for utterance in batch])
        self.entered.release()
        await self.gate.acquire()
        for index, utterance in enumerate(batch):
            yield index, self._speak(utterance)

    def batch_key(self, utterance: Utterance) -> Hashable:
        return utterance.language


class Plain(SyntheticEngine):
    """An engine that has no ``stream``, as a plug-in may be; it fails as it is told."""

    stream = None  # pyright: ignore[reportAssignmentType] - takes away what the other has

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(EngineConfig(name="plain", type="SYNTHETIC"))
        self._error = error

    async def synthesize(self, batch: Sequence[Utterance]) -> Sequence[Outcome]:
        if self._error is not None:
            raise self._error
        return [Speech(pcm=np.full(len(utterance.text), 7, np.int16)) for utterance in batch]


def make(engine: Any, concurrency: int = 1, timeout: float = 10.0, **batching: Any) -> Batcher:
    @asynccontextmanager
    async def hold() -> AsyncGenerator[EngineAdapter, None]:
        yield engine

    config = BatchingConfig(**batching)
    return Batcher(engine, hold, config, concurrency=concurrency, timeout=timeout)


def say(text: str, language: str = "en", voice: str = "tone") -> Utterance:
    return Utterance(text=text, voice=voice, language=language)


async def heard(ticket: Ticket) -> int:
    return sum([pcm.size async for pcm in ticket.chunks()])


async def test_what_arrives_while_a_batch_runs_is_the_next_batch() -> None:
    engine = Gated()
    batcher = make(engine)
    first = batcher.submit(say("a"))
    await engine.entered.acquire()
    others = [batcher.submit(say(text)) for text in "bcd"]
    engine.gate.release()
    engine.gate.release()
    await asyncio.gather(*(heard(ticket) for ticket in (first, *others)))
    assert engine.batches == [["a"], ["b", "c", "d"]]
    await batcher.close()


async def test_only_what_can_run_together_shares_a_batch() -> None:
    engine = Gated()
    batcher = make(engine)
    tickets = [batcher.submit(say("0"))]
    await engine.entered.acquire()
    tickets += [
        batcher.submit(say(text, language)) for text, language in (("a", "en"), ("b", "hi"), ("c", "en"))
    ]
    for _ in range(3):
        engine.gate.release()
    await asyncio.gather(*(heard(ticket) for ticket in tickets))
    assert engine.batches == [["0"], ["a", "c"], ["b"]]
    await batcher.close()


async def test_no_batch_is_larger_than_allowed() -> None:
    engine = Gated()
    batcher = make(engine, max_batch_size=2)
    tickets = [batcher.submit(say(text)) for text in "abcde"]
    for _ in range(3):
        engine.gate.release()
    await asyncio.gather(*(heard(ticket) for ticket in tickets))
    assert [len(batch) for batch in engine.batches] == [2, 2, 1]
    await batcher.close()


class Slotted(Gated):
    """Has slots, whose number it learns as it goes along."""

    slots = 1

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, slots=self.slots)


async def test_slots_that_come_and_go_are_used_as_they_are() -> None:
    engine = Slotted()
    batcher = make(engine)
    tickets = [batcher.submit(say(text)) for text in "abcdefg"]
    await engine.entered.acquire()
    assert engine.batches == [["a"]]
    engine.slots = 3
    engine.gate.release()
    await heard(tickets[0])
    for _ in range(3):
        await engine.entered.acquire()
    assert engine.batches[1:] == [["b"], ["c"], ["d"]]
    engine.slots = 1
    engine.gate.release()
    await heard(tickets[1])
    await asyncio.sleep(0.01)
    assert batcher.running == 2
    for _ in range(5):
        engine.gate.release()
    await asyncio.gather(*(heard(ticket) for ticket in tickets[2:]))
    assert engine.batches[4:] == [["e"], ["f"], ["g"]]
    await batcher.close()


async def test_free_places_share_what_is_queued() -> None:
    engine = Gated()
    batcher = make(engine, concurrency=2)
    tickets = [batcher.submit(say(text)) for text in "abcd"]
    for _ in range(2):
        await engine.entered.acquire()
    assert sorted(map(len, engine.batches)) == [2, 2]
    engine.gate.release()
    engine.gate.release()
    await asyncio.gather(*(heard(ticket) for ticket in tickets))
    await batcher.close()


async def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    engine = Gated()
    batcher = make(engine, max_queue=2)
    running = batcher.submit(say("running"))
    await engine.entered.acquire()
    waiting = [batcher.submit(say("w")) for _ in range(2)]
    with pytest.raises(EngineOverloaded) as caught:
        batcher.submit(say("one more"))
    assert caught.value.retry_after >= 1.0
    admitted = batcher.submit(say("goes on"), admitted=True)
    waiting[0].abandon()
    waiting[1].abandon()
    batcher.submit(say("fits again")).abandon()
    for _ in range(2):
        engine.gate.release()
    assert await heard(running) > 0
    assert await heard(admitted) > 0
    await batcher.close()


async def test_the_abandoned_are_dropped_before_they_run() -> None:
    engine = Gated()
    batcher = make(engine)
    running = batcher.submit(say("running"))
    await engine.entered.acquire()
    gone, stays = batcher.submit(say("gone")), batcher.submit(say("stays"))
    gone.abandon()
    assert batcher.waiting == 1
    engine.gate.release()
    engine.gate.release()
    assert await heard(running) > 0
    assert await heard(stays) > 0
    with pytest.raises(Abandoned):
        await heard(gone)
    assert engine.batches == [["running"], ["stays"]]
    await batcher.close()


async def test_a_batch_that_nobody_reads_is_stopped() -> None:
    engine = Gated()
    batcher = make(engine)
    tickets = [batcher.submit(say(text)) for text in "ab"]
    await engine.entered.acquire()
    tickets[0].abandon()
    assert batcher.running == 2
    tickets[1].abandon()
    after = batcher.submit(say("next"))
    await engine.entered.acquire()  # the gate was never opened for the first batch
    engine.gate.release()
    assert await heard(after) > 0
    await batcher.close()


async def test_an_error_belongs_to_its_item() -> None:
    engine = Gated(fail_on="bad")
    batcher = make(engine)
    tickets = [batcher.submit(say(text)) for text in ("good", "bad", "fine")]
    engine.gate.release()
    results = await asyncio.gather(*(heard(ticket) for ticket in tickets), return_exceptions=True)
    assert engine.batches == [["good", "bad", "fine"]]
    assert isinstance(results[1], UnsupportedUtterance)
    assert all(isinstance(results[i], int) for i in (0, 2))
    await batcher.close()


@pytest.mark.parametrize("error", [RuntimeError("a plug-in's bug"), EngineUnavailable("gone")])
async def test_an_engine_that_raises_fails_its_batch_and_works_on(error: Exception) -> None:
    engine = Plain(error)
    batcher = make(engine)
    with pytest.raises(EngineUnavailable):
        await heard(batcher.submit(say("x")))
    engine._error = None
    assert await heard(batcher.submit(say("xyz"))) == 3
    await batcher.close()


async def test_an_engine_that_forgets_an_outcome_is_noticed() -> None:
    engine = Plain()
    engine.synthesize = lambda _batch: asyncio.sleep(0, [])  # type: ignore[method-assign]  # a defective plug-in
    batcher = make(engine)
    with pytest.raises(EngineUnavailable):
        await heard(batcher.submit(say("x")))
    await batcher.close()


async def test_a_batch_that_takes_too_long_is_given_up() -> None:
    engine = Gated()
    batcher = make(engine, timeout=0.05)
    with pytest.raises(EngineUnavailable, match="longer than"):
        await heard(batcher.submit(say("x")))
    await batcher.close()


async def test_closing_answers_everybody() -> None:
    engine = Gated()
    batcher = make(engine)
    tickets = [batcher.submit(say("a"))]
    await engine.entered.acquire()
    tickets.append(batcher.submit(say("b")))
    await batcher.close()
    for ticket in tickets:
        with pytest.raises(EngineUnavailable):
            await heard(ticket)
    with pytest.raises(EngineUnavailable):
        batcher.submit(say("late"))


async def test_company_is_waited_for_only_after_a_burst() -> None:
    """After a burst the first waits for those it came with; alone, nobody waits."""
    engine = SyntheticEngine(
        EngineConfig(
            name="s", type="SYNTHETIC", options={"base_ms": 40, "item_ms": 1, "seconds_per_char": 0.001}
        )
    )
    await engine.load()
    sizes: list[int] = []
    inner = engine.stream

    def recorded(batch: Sequence[Utterance]) -> AsyncGenerator[Any, None]:
        sizes.append(len(batch))
        return inner(batch)

    engine.stream = recorded
    batcher = make(engine, max_batch_size=32)

    async def caller(times: int) -> None:
        for _ in range(times):
            await heard(batcher.submit(say("hello")))

    await asyncio.gather(*(caller(6) for _ in range(8)))
    assert sizes[0] == 1 or sizes[0] == 8
    # Once the costs are known the callers stay together instead of splitting into a one and a seven.
    assert sizes.count(8) >= 4
    await batcher.close()


async def test_a_flood_of_one_tenant_holds_nobody_else_up() -> None:
    engine = Gated()
    batcher = make(engine, max_batch_size=4, max_queue=400, max_wait_ms=0)
    flood = [batcher.submit(say(f"a{index}"), tenant="a") for index in range(200)]
    for round_ in range(5):
        await engine.entered.acquire()
        before = len(engine.batches)
        mine = batcher.submit(say(f"b{round_}"), tenant="b")
        engine.gate.release()
        while f"b{round_}" not in engine.batches[-1]:
            await engine.entered.acquire()
            engine.gate.release()
        # One batch was running; the next one has it.
        assert len(engine.batches) - before <= 1
        assert await heard(mine) > 0
    for ticket in flood:
        ticket.abandon()
    await batcher.close()


async def test_a_full_queue_refuses_who_filled_it() -> None:
    engine = Gated()
    batcher = make(engine, max_batch_size=1, max_queue=3, max_wait_ms=0)
    running = batcher.submit(say("a"), tenant="a")
    await engine.entered.acquire()
    waiting = [batcher.submit(say(text), tenant="a") for text in "bcd"]
    mine = batcher.submit(say("mine"), tenant="b")
    with pytest.raises(EngineOverloaded):
        await heard(waiting[2])
    with pytest.raises(EngineOverloaded):
        batcher.submit(say("e"), tenant="a")
    assert batcher.waiting == 3
    for _ in range(4):
        engine.gate.release()
    for ticket in (running, *waiting[:2], mine):
        assert await heard(ticket) > 0
    await batcher.close()


async def test_what_was_spoken_is_freed_without_the_collector():
    batcher = make(Plain())
    made: list[weakref.ref[Ticket]] = []
    gc.disable()
    try:
        for _ in range(3):
            ticket = batcher.submit(say("hello"))
            made.append(weakref.ref(ticket))
            await heard(ticket)
            del ticket
        # The last batch may still be in the hands of what runs them.
        assert [reference() for reference in made[:-1]] == [None, None]
    finally:
        gc.enable()
        await batcher.close()


CALLER: ContextVar[str | None] = ContextVar("caller", default=None)
REQUEST: ContextVar[object] = ContextVar("request", default=None)


class Contextual(Gated):
    """Notes in whose context it runs."""

    def __init__(self) -> None:
        self.callers: list[str | None] = []
        super().__init__()

    async def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[Any, None]:
        self.callers.append(CALLER.get())
        async for item in super().stream(batch):
            yield item


async def test_a_batch_runs_in_the_context_of_its_one_caller() -> None:
    engine = Contextual()
    batcher = make(engine, max_batch_size=8, max_wait_ms=0)

    async def call(caller: str, *texts: str) -> list[Ticket]:
        CALLER.set(caller)
        return [batcher.submit(say(text)) for text in texts]

    tickets = await asyncio.create_task(call("a", "alone"))
    await engine.entered.acquire()
    tickets += await asyncio.create_task(call("b", "two", "together"))
    engine.gate.release()
    await engine.entered.acquire()
    tickets += await asyncio.create_task(call("c", "shared"))
    tickets += await asyncio.create_task(call("d", "by both"))
    engine.gate.release()
    await engine.entered.acquire()
    engine.gate.release()
    for ticket in tickets:
        await heard(ticket)
    assert engine.batches == [["alone"], ["two", "together"], ["shared", "by both"]]
    assert engine.callers == ["a", "b", None]
    await batcher.close()


async def test_the_work_behind_all_batches_keeps_nothing_of_whoever_came_first() -> None:
    batcher = make(Plain())

    class Request:
        pass

    async def call() -> weakref.ref[Request]:
        request = Request()
        REQUEST.set(request)
        await heard(batcher.submit(say("first")))
        return weakref.ref(request)

    first = await asyncio.create_task(call())
    await heard(batcher.submit(say("second")))
    gc.collect()
    assert first() is None
    await batcher.close()
