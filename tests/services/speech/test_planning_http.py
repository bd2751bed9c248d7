"""A client that leaves while its text is made ready leaves nothing behind."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import pytest

from services.speech import planning
from services.speech.planning import Planner

from runners import engine, gateway_of

LONG = {"input": "This is a sentence. " * 60, "voice": "tone", "response_format": "pcm"}


@pytest.fixture
def planners(monkeypatch: pytest.MonkeyPatch) -> list[Planner]:
    """The planners that are made, each with one thread."""
    made: list[Planner] = []

    def one() -> Planner:
        made.append(Planner(threads=1))
        return made[-1]

    monkeypatch.setattr("services.gateway.Planner", one)
    return made


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Generator[threading.Event, None, None]:
    """Holds every turn until it is set."""
    opened = threading.Event()
    turn = planning._turn

    def later(job: planning._Job) -> bool:
        opened.wait(60)
        return turn(job)

    monkeypatch.setattr(planning, "_turn", later)
    yield opened
    opened.set()


@pytest.fixture
async def gateway(
    planners: list[Planner], held: threading.Event, tmp_path: Path
) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with gateway_of(engine("TONE"), tmp_path, patience=100) as opened:
        while not planners:  # made when the app starts; the test's own time limit ends it
            await asyncio.sleep(0.01)
        yield opened
        held.set()


async def settled(planner: Planner, busy: int) -> None:
    while planner.busy != busy:  # the test's own time limit ends it
        await asyncio.sleep(0.01)


async def test_planning_stops_when_the_client_leaves(
    gateway: httpx.AsyncClient, planners: list[Planner], held: threading.Event
):
    (planner,) = planners
    first = asyncio.create_task(gateway.post("/v1/audio/speech", json=LONG))
    await settled(planner, 1)  # it has the thread, whichever of two would come in first
    second = asyncio.create_task(gateway.post("/v1/audio/speech", json=LONG))
    await settled(planner, 2)
    second.cancel()
    await settled(planner, 1)
    held.set()
    answer = await first
    assert answer.status_code == 200
    assert answer.content


async def test_planning_holds_up_nothing_else(
    gateway: httpx.AsyncClient, planners: list[Planner], held: threading.Event
):
    tasks = [asyncio.create_task(gateway.post("/v1/audio/speech", json=LONG)) for _ in range(40)]
    await settled(planners[0], 40)
    # Sentences, encoding and storage go on: only the threads for planning are taken.
    answer = await gateway.post(
        "/v1/audio/speech", json={**LONG, "input": "Hello. " * 100, "response_format": "mp3"}
    )
    assert answer.status_code == 200
    held.set()
    assert {answer.status_code for answer in await asyncio.gather(*tasks)} == {200}


async def test_a_full_queue_says_when_to_come_again(
    gateway: httpx.AsyncClient,
    planners: list[Planner],
    held: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(planners[0], "_max_waiting", 1)
    tasks = [asyncio.create_task(gateway.post("/v1/audio/speech", json=LONG)) for _ in range(2)]
    await settled(planners[0], 2)
    refused = await gateway.post("/v1/audio/speech", json=LONG)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    held.set()
    assert {answer.status_code for answer in await asyncio.gather(*tasks)} == {200}
