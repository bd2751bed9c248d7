"""Work that is done once for all who want it, and work that is done again and again."""

import asyncio
import threading
from typing import Final

import pytest

from services.tasks import Chore, SingleFlight, in_thread, running
from storage.errors import StorageUnavailable

from logs import of_this_thread

PATIENCE: Final = 20.0
FOR_EVER: Final = 3_600.0


class Work:
    """Counts how often it was begun and ended, and waits to be let go."""

    def __init__(self) -> None:
        self.begun = self.ended = self.cancelled = 0
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> None:
        self.begun += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error:
            raise self.error
        self.ended += 1


async def begun(work: Work, waiters: int, flight: SingleFlight[None]) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(flight.run("a", work)) for _ in range(waiters)]
    while not work.begun:
        await asyncio.sleep(0)
    return tasks


async def test_it_is_done_once_for_all():
    work, flight = Work(), SingleFlight[None]()
    tasks = await begun(work, 5, flight)
    assert len(flight) == 1
    work.go.set()
    await asyncio.gather(*tasks)
    assert (work.begun, work.ended, len(flight)) == (1, 1, 0)
    await flight.run("a", work)
    assert work.begun == 2, "what has ended is not kept"


async def test_other_keys_are_other_work():
    work, flight = Work(), SingleFlight[None]()
    work.go.set()
    await asyncio.gather(flight.run("a", work), flight.run("b", work))
    assert work.ended == 2


async def test_its_error_is_everybodys_and_not_kept():
    work, flight = Work(), SingleFlight[None]()
    work.error = LookupError("gone")
    tasks = await begun(work, 3, flight)
    work.go.set()
    assert [type(result) for result in await asyncio.gather(*tasks, return_exceptions=True)] == [
        LookupError
    ] * 3
    work.error = None
    await flight.run("a", work)
    assert work.ended == 1


async def test_who_gives_up_leaves_it_to_the_others():
    work, flight = Work(), SingleFlight[None]()
    first, second = await begun(work, 2, flight)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.go.set()
    await second
    assert (work.begun, work.ended, work.cancelled) == (1, 1, 0)


async def test_the_last_who_gives_up_ends_it():
    work, flight = Work(), SingleFlight[None]()
    tasks = await begun(work, 2, flight)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(flight) == 0
    while not work.cancelled:
        await asyncio.sleep(0)
    work.go.set()
    await flight.run("a", work)
    assert (work.begun, work.ended) == (2, 1)


class Rounds:
    """Counts rounds; the first ones fail."""

    def __init__(self, *errors: Exception) -> None:
        self.begun = asyncio.Queue[int]()
        self.ended = 0
        self.go = asyncio.Event()
        self._errors = list(errors)
        self._count = 0

    async def __call__(self) -> None:
        self._count += 1
        self.begun.put_nowait(self._count)
        await self.go.wait()
        if self._errors:
            raise self._errors.pop(0)
        self.ended += 1


async def test_a_chore_goes_on_after_rounds_that_fail(caplog: pytest.LogCaptureFixture):
    rounds = Rounds(StorageUnavailable("database", "it is away"), ValueError("a defect"))
    rounds.go.set()
    async with asyncio.timeout(PATIENCE), running(Chore("counting", rounds, every=0.01)):
        while await rounds.begun.get() < 4:
            pass
    assert [(record.levelname, record.getMessage()) for record in of_this_thread(caplog)] == [
        ("WARNING", "counting has to wait: The database cannot be reached: it is away"),
        ("ERROR", "counting failed"),
    ]
    assert rounds.ended >= 1


async def test_a_chore_runs_when_it_is_woken_and_once_more_when_it_is_woken_while_it_runs():
    rounds = Rounds()
    chore = Chore("counting", rounds, every=FOR_EVER)
    async with asyncio.timeout(PATIENCE), running(chore):
        chore.wake()
        assert await rounds.begun.get() == 1
        chore.wake()
        chore.wake()
        rounds.go.set()
        assert await rounds.begun.get() == 2
        await asyncio.sleep(0.05)
    assert rounds.begun.empty()


async def test_a_wake_before_its_start_is_not_lost():
    rounds = Rounds()
    chore = Chore("counting", rounds, every=FOR_EVER)
    chore.wake()
    async with asyncio.timeout(PATIENCE), running(chore):
        assert await rounds.begun.get() == 1


async def test_wakes_do_not_hurry_a_chore_that_failed():
    rounds = Rounds(ValueError("a defect"))
    rounds.go.set()
    chore = Chore("counting", rounds, every=FOR_EVER, at_once=True)
    async with asyncio.timeout(PATIENCE), running(chore):
        assert await rounds.begun.get() == 1
        for _ in range(10):
            chore.wake()
            await asyncio.sleep(0)
    assert rounds.begun.empty()


async def test_closing_ends_the_round_that_runs_and_runs_a_last_one():
    rounds = Rounds()
    async with asyncio.timeout(PATIENCE):
        async with running(Chore("counting", rounds, every=FOR_EVER, at_once=True, at_close=True)):
            assert await rounds.begun.get() == 1
            asyncio.get_running_loop().call_later(0.05, rounds.go.set)
        assert await rounds.begun.get() == 2
    assert rounds.ended == 1


async def test_closing_before_the_first_step_runs_the_last_round_too():
    rounds = Rounds()
    rounds.go.set()
    chore = Chore("counting", rounds, every=FOR_EVER, at_close=True)
    chore.start()
    await chore.aclose()
    await chore.aclose()
    assert rounds.ended == 1


async def test_a_round_that_does_not_end_does_not_keep_a_chore_from_closing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("services.tasks.CLOSE_SECONDS", 0.05)
    free, begun = threading.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await in_thread(free.wait, PATIENCE)

    try:
        async with asyncio.timeout(PATIENCE), running(Chore("waiting", work, every=FOR_EVER, at_once=True)):
            await begun.wait()
        assert not free.is_set()
        assert "waiting did not end in time" in caplog.text
    finally:
        free.set()
