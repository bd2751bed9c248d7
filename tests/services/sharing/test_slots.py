"""Slots that tenants get in turn."""

import asyncio
from contextlib import suppress

import pytest

from services.sharing.slots import CLAIMANT, Claimant, FairSlots

LOUD, QUIET = Claimant("loud"), Claimant("quiet")


async def hold(slots: FairSlots, who: Claimant, took: list[str], go: asyncio.Event) -> None:
    CLAIMANT.set(who)
    async with slots.taken():
        took.append(who.tenant)
        await go.wait()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_one_tenant_leaves_some_to_others():
    slots, took, go = FairSlots(8, most=6), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(hold(slots, LOUD, took, go)) for _ in range(20)]
    await settle()
    assert took == ["loud"] * 6
    tasks += [asyncio.create_task(hold(slots, QUIET, took, go)) for _ in range(2)]
    await settle()
    assert took == ["loud"] * 6 + ["quiet"] * 2
    go.set()
    await asyncio.gather(*tasks)
    assert len(took) == 22


async def test_who_has_waited_less_often_is_next():
    slots, took, go = FairSlots(1), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(hold(slots, LOUD, took, go)) for _ in range(1)]
    await settle()
    async with asyncio.timeout(10):
        more = [asyncio.create_task(hold(slots, Claimant(name), took, go)) for name in "abcbbbc"]
        await settle()
        go.set()
        await asyncio.gather(*tasks, *more)
    assert took[0] == "loud"
    assert sorted(took[1:4]) == ["a", "b", "c"], "each once before anybody a second time"


async def test_a_waiter_that_leaves_takes_nothing_with_it():
    slots, took, go = FairSlots(2), list[str](), asyncio.Event()
    held = [asyncio.create_task(hold(slots, Claimant(name), took, go)) for name in "ab"]
    await settle()
    waiting = [asyncio.create_task(hold(slots, Claimant(name), took, go)) for name in "cd"]
    await settle()
    for task in waiting:
        task.cancel()
    go.set()
    await asyncio.gather(*held, *waiting, return_exceptions=True)
    again = [asyncio.create_task(hold(slots, Claimant(name), took, go)) for name in "ef"]
    async with asyncio.timeout(10):
        await asyncio.gather(*again)
    assert took == ["a", "b", "e", "f"]


async def test_a_waiter_that_leaves_as_its_turn_comes_gives_it_back():
    slots, took, go = FairSlots(1), list[str](), asyncio.Event()
    first = asyncio.create_task(hold(slots, LOUD, took, go))
    await settle()
    second = asyncio.create_task(hold(slots, QUIET, took, go))
    await settle()
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    second.cancel()  # it was given the slot, and has not run since
    with suppress(asyncio.CancelledError):
        await second
    async with asyncio.timeout(10), slots.taken():
        pass


async def test_patience_ends():
    slots = FairSlots(1)
    async with slots.taken():
        CLAIMANT.set(QUIET)
        with pytest.raises(TimeoutError):
            async with slots.taken(patience=0.01):
                pytest.fail("there was none")
    async with slots.taken(patience=0.01):
        pass


async def test_it_is_for_whom_the_task_works():
    slots, go, took = FairSlots(4, most=3), asyncio.Event(), list[str]()

    async def work(tenant: str) -> None:
        CLAIMANT.set(Claimant(tenant))
        async with slots.taken():
            took.append(tenant)
            await go.wait()

    tasks = [asyncio.create_task(work(name)) for name in ("a", "a", "a", "a", "b")]
    await settle()
    assert took == ["a", "a", "a", "b"]
    go.set()
    await asyncio.gather(*tasks)
