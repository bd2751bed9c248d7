"""What a client has not read: at its pace, or spooled while others need its place."""

import asyncio

import pytest

from services.sharing.outbox import Outbox
from services.sharing.shares import Share, Shares

PIECE = b"x" * 1_000


class Client:
    """Reads as slowly as it likes."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.reads = asyncio.Event()
        self.reads.set()
        self.read: list[bytes] = []

    async def send(self, data: bytes) -> None:
        await self.reads.wait()
        if self.seconds:
            await asyncio.sleep(self.seconds)
        self.read.append(data)


def crowded() -> tuple[Shares, Share]:
    """A place that others need, and the places."""
    places = Shares(8)
    taken = [places.take("flood", 1.0) for _ in range(6)]
    assert places.take("other", 1.0)
    place = taken[0]
    assert place
    assert place.asked_back()
    return places, place


def lonely() -> tuple[Shares, Share]:
    places = Shares(8)
    place = places.take("flood", 1.0)
    assert place
    return places, place


async def test_a_client_that_reads_gets_everything_in_order():
    places, place = lonely()
    spool, client = Shares(10_000), Client()
    async with Outbox(place, spool, patience=60).to(client.send) as outbox:
        for number in range(50):
            await outbox.put(b"%d" % number)
        await outbox.drain()
    assert client.read == [b"%d" % number for number in range(50)]
    assert (places.taken, spool.taken) == (0, 0)


async def test_nobody_is_ahead_of_a_slow_client_that_nobody_waits_for():
    _, place = lonely()
    spool, client = Shares(10_000), Client()
    client.reads.clear()
    async with Outbox(place, spool, patience=60).to(client.send) as outbox:
        putting = asyncio.create_task(outbox.put(PIECE))
        await asyncio.sleep(1)
        assert not putting.done()
        assert spool.taken == 0
        client.reads.set()
        await putting
        assert client.read == [PIECE]
        place.release()


async def test_a_place_that_others_need_is_free_once_everything_is_made():
    places, place = crowded()
    spool, client = Shares(100_000), Client()
    client.reads.clear()
    async with Outbox(place, spool, patience=60).to(client.send) as outbox:
        for _ in range(20):
            await outbox.put(PIECE)
        assert spool.taken == 20_000
        draining = asyncio.create_task(outbox.drain())
        while places.taken == 7:
            await asyncio.sleep(0)
        assert not draining.done()
        client.reads.set()
        await draining
        assert client.read == [PIECE] * 20
        assert spool.taken == 0


async def test_a_spool_ends_and_the_place_is_held_but_not_for_long():
    places, place = crowded()
    spool, client = Shares(4_000), Client(seconds=0.02)
    with place:
        with pytest.raises(TimeoutError):
            async with Outbox(place, spool, patience=1).to(client.send) as outbox:
                while True:
                    await outbox.put(PIECE)
                    assert spool.taken <= 4_000 - spool.reserve
        # It read all the time, only too slowly for a place that others need.
        assert len(client.read) > 5
        assert places.taken == 7
    assert (places.taken, spool.taken) == (6, 0)


async def test_one_tenant_does_not_fill_the_spool_for_others():
    spool = Shares(16_000)
    hoard = spool.take("flood", 1.0, 0)
    assert hoard
    while hoard.resize(hoard.amount + 1_000):
        pass
    theirs = spool.take("other", 1.0, 0)
    assert theirs
    assert theirs.resize(999)


async def test_a_client_that_does_not_read_is_given_up():
    _, place = lonely()
    spool, client = Shares(10_000), Client()
    client.reads.clear()
    with pytest.raises(TimeoutError):
        async with Outbox(place, spool, patience=0.2).to(client.send) as outbox:
            await outbox.put(PIECE)
    place.release()


@pytest.mark.parametrize("last", [True, False])
async def test_what_fails_while_it_is_spooled_is_told(last: bool):
    _, place = crowded()
    spool = Shares(100_000)
    goes_on = asyncio.Event()

    async def send(_: bytes) -> None:
        await goes_on.wait()
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        async with Outbox(place, spool, patience=60).to(send) as outbox:
            await outbox.put(PIECE)
            goes_on.set()
            for _ in range(3):
                await asyncio.sleep(0)
            await (outbox.drain() if last else outbox.put(PIECE))
    assert spool.taken == 0
