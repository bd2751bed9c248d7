"""Texts are made ready to be spoken in turn, and no longer than somebody waits for them."""

import asyncio
import threading
from collections.abc import AsyncGenerator

import pytest

from engines.contract import EngineOverloaded
from engines.text import TextError, TextOptions, plan
from services.speech import planning
from services.speech.planning import INLINE_CHARS, Planner

LONG = "This is a sentence of a text. " * 400
OPTIONS = TextOptions(language="en")


@pytest.fixture
async def planner() -> AsyncGenerator[Planner, None]:
    made = Planner(threads=1, max_waiting=4)
    yield made
    await made.aclose()


class Gate:
    """Holds turns until they are allowed, and tells whose they were."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.turns: list[str] = []
        self._allowed = threading.Semaphore(0)
        turn = planning._turn

        def counted(job: planning._Job) -> bool:
            self._allowed.acquire(timeout=60)
            self.turns.append(job.tenant)
            return turn(job)

        monkeypatch.setattr(planning, "_turn", counted)

    def open(self, turns: int = 10_000) -> None:
        self._allowed.release(turns)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


async def settled(planner: Planner, busy: int) -> None:
    while planner.busy != busy:  # the test's own time limit ends it
        await asyncio.sleep(0.01)


async def test_it_is_what_the_front_end_plans(planner: Planner):
    for text in ("Short.", LONG):
        assert list(await planner.plan(text, OPTIONS, tenant="a")) == plan(text, OPTIONS)
    for text in ("*" * 2_000, "*"):
        with pytest.raises(TextError):
            await planner.plan(text, OPTIONS, tenant="a")
    assert planner.busy == 0


async def test_a_text_waits_for_a_turn_of_another_not_for_all_of_it(planner: Planner, gate: Gate):
    flood = [asyncio.create_task(planner.plan(LONG, OPTIONS, tenant="flood")) for _ in range(3)]
    await settled(planner, 3)
    short = asyncio.create_task(planner.plan("Hello. " * 200, OPTIONS, tenant="quiet"))
    await settled(planner, 4)
    gate.open()
    await short
    assert not any(task.done() for task in flood)
    assert gate.turns.count("flood") <= 3
    assert all(len(passages) == 400 for passages in await asyncio.gather(*flood))


async def test_a_large_lexicon_of_a_short_text_is_not_read_on_the_event_loop(planner: Planner, gate: Gate):
    lexicon = {f"word{number}": "x" * 500 for number in range(INLINE_CHARS // 500 + 1)}
    task = asyncio.create_task(planner.plan("a", TextOptions(own_lexicon=lexicon), tenant="a"))
    await settled(planner, 1)
    gate.open()
    assert (await task)[0].text == "a"


async def test_what_nobody_waits_for_is_stopped(planner: Planner, gate: Gate):
    first, second = (asyncio.create_task(planner.plan(LONG, OPTIONS, tenant="a")) for _ in range(2))
    await settled(planner, 2)
    second.cancel()
    await asyncio.wait({second})
    assert planner.busy == 1
    first.cancel()
    await asyncio.wait({first})
    gate.open()
    await settled(planner, 0)
    assert gate.turns == ["a"]  # it had been taken; the rest of its 12 turns is not worked on


async def test_a_flood_is_refused_for_itself_and_makes_room_for_others(planner: Planner, gate: Gate):
    flood = [asyncio.create_task(planner.plan(LONG, OPTIONS, tenant="flood")) for _ in range(5)]
    await settled(planner, 5)  # one is worked on, four wait
    with pytest.raises(EngineOverloaded) as refused:
        await planner.plan(LONG, OPTIONS, tenant="flood")
    assert refused.value.retry_after >= 1
    other = asyncio.create_task(planner.plan(LONG, OPTIONS, tenant="quiet"))
    await asyncio.wait({flood[-1]})
    assert isinstance(flood[-1].exception(), EngineOverloaded)
    gate.open()
    assert len(await other) == 400
    assert all(len(passages) == 400 for passages in await asyncio.gather(*flood[:-1]))


async def test_texts_that_were_begun_make_room_too(planner: Planner, gate: Gate):
    flood = [asyncio.create_task(planner.plan(LONG, OPTIONS, tenant="flood")) for _ in range(5)]
    await settled(planner, 5)
    gate.open(5)  # each has had a turn
    while len(gate.turns) < 5:
        await asyncio.sleep(0.01)
    other = asyncio.create_task(planner.plan(LONG, OPTIONS, tenant="quiet"))
    await asyncio.wait({other, *flood}, return_when=asyncio.FIRST_COMPLETED)
    assert not other.done()
    gate.open()
    assert len(await other) == 400
    outcomes = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(outcome, EngineOverloaded) for outcome in outcomes) == 1


async def test_closing_ends_what_waits(gate: Gate):
    planner = Planner(threads=1)
    tasks = [asyncio.create_task(planner.plan(LONG, OPTIONS, tenant="a")) for _ in range(3)]
    await settled(planner, 3)
    gate.open()
    await planner.aclose()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    assert planner.busy == 0
