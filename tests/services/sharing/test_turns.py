"""Turns on the event loop and in threads."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable

import pytest

from services.sharing.slots import CLAIMANT, Claimant
from services.sharing.turns import MAX_GAP_SECONDS, Turns


@pytest.fixture
async def turns() -> AsyncGenerator[Turns, None]:
    made = Turns()
    yield made
    made.close()


async def test_one_that_is_alone_does_not_wait(turns: Turns):
    waited = turns.wait()
    with pytest.raises(StopIteration):  # it ends without having waited for anything
        waited.send(None)


async def test_each_round_of_the_loop_has_one_turn(turns: Turns):
    rounds: list[int] = []
    now = 0

    async def work() -> None:
        await turns.wait()
        rounds.append(now)

    tasks = [asyncio.create_task(work()) for _ in range(50)]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        now += 1
    assert len(rounds) == len(set(rounds)) == 50


async def test_tenants_take_turns(turns: Turns):
    order: list[str] = []

    async def work(tenant: str, pieces: int) -> None:
        CLAIMANT.set(Claimant(tenant))
        for _ in range(pieces):
            await turns.wait()
            order.append(tenant)

    loud = [asyncio.create_task(work("loud", 10)) for _ in range(100)]
    await asyncio.sleep(0)
    await asyncio.create_task(work("quiet", 5))
    assert order.index("quiet") < 5
    assert len(order) < 20, "the quiet tenant waited for at most one turn of the other before each of its own"
    await asyncio.gather(*loud)


async def test_who_leaves_keeps_nobody_waiting(turns: Turns):
    tasks = [asyncio.create_task(turns.wait()) for _ in range(10)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks, return_exceptions=True)
        await turns.wait()


async def test_one_that_leaves_as_its_turn_comes_gives_it_back(turns: Turns):
    """However many rounds of the loop pass before it leaves."""
    for rounds in range(6):
        await turns.wait()
        tasks = [asyncio.create_task(turns.wait()) for _ in range(3)]
        for _ in range(rounds):
            await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[1].cancel()
        async with asyncio.timeout(10):
            await asyncio.gather(*tasks, return_exceptions=True)
            await turns.wait()


async def test_between_two_turns_of_one_tenant_another_does_not_wait(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
):
    """While several are at work, there is time between two turns."""
    gaps: list[tuple[float, Callable[[], None]]] = []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda *gap: gaps.append(gap))

    async def work(tenant: str) -> None:
        CLAIMANT.set(Claimant(tenant))
        await turns.wait()

    loud = [asyncio.create_task(work(f"loud {number % 2}")) for number in range(20)]
    while not all(task.done() for task in loud):
        while not gaps and not all(task.done() for task in loud):
            await asyncio.sleep(0)
        if not gaps:
            break
        done = sum(task.done() for task in loud)
        for _ in range(20):
            await asyncio.sleep(0)
        assert sum(task.done() for task in loud) == done, "the loop goes round and round between two turns"
        CLAIMANT.set(Claimant("quiet"))
        waited = turns.wait()
        with pytest.raises(StopIteration):
            waited.send(None)
        (seconds, go_on) = gaps.pop()
        assert 0 <= seconds <= MAX_GAP_SECONDS
        go_on()
    assert not gaps


async def test_threads_are_shared_by_tenants(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("services.sharing.turns.THREADS", 1)
    one = Turns()
    go, begun = threading.Event(), list[str]()

    async def work(tenant: str) -> None:
        CLAIMANT.set(Claimant(tenant))
        await one.in_thread(compress, tenant)

    def compress(tenant: str) -> None:
        begun.append(tenant)
        go.wait(10)

    loud = [asyncio.create_task(work("loud")) for _ in range(20)]
    await asyncio.sleep(0)
    quiet = asyncio.create_task(work("quiet"))
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(*loud, quiet)
    one.close()
    assert begun.index("quiet") <= 2, "after those under way, and not after all others"


async def test_the_threads_come_again_after_they_were_ended(turns: Turns):
    assert await turns.in_thread(lambda: 1) == 1
    turns.close()
    assert await turns.in_thread(lambda: 2) == 2
