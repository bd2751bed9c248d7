"""Work that is done once for all who want it."""

import asyncio

import pytest

from services.tasks import SingleFlight


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
