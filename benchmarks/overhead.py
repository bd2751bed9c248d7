"""What the path costs in this checkout and in another one, with an engine that costs nothing.

    git worktree add /tmp/before <commit>
    .venv/bin/python benchmarks/overhead.py --against /tmp/before

Both are asked in turn, one caller, so that whatever else the machine does costs both alike.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TypeAlias

import aiohttp

from quiet import processor_seconds
from serving import serve
from speech import NULL, SENTENCE
from spoken import machine, median, print_table, quantile

WARM_UP = 100
SPEECH = {"model": "NULL", "voice": "tone", "input": SENTENCE, "response_format": "pcm"}

Ask: TypeAlias = Callable[[aiohttp.ClientSession], Awaitable[None]]


@dataclass(frozen=True)
class Side:
    """One of the two servers.

    Attributes:
        session: Of the caller.
        pid: Of its supervisor.
    """

    session: aiohttp.ClientSession
    pid: int


@dataclass(frozen=True)
class Cost:
    """What a request took, in milliseconds.

    Attributes:
        p50: The median.
        p95: The 95th percentile.
        processor: Processor time of all processes of the server.
    """

    p50: float
    p95: float
    processor: float

    def __truediv__(self, other: "Cost") -> "Cost":
        """The ratios of each."""
        return Cost(self.p50 / other.p50, self.p95 / other.p95, self.processor / other.processor)


async def live(session: aiohttp.ClientSession) -> None:
    """An empty answer of the Gateway."""
    async with session.get("/health/live") as answer:
        await answer.read()


async def speech(session: aiohttp.ClientSession) -> None:
    """The whole path."""
    async with session.post("/v1/audio/speech", json=SPEECH) as answer:
        if answer.status != 200:
            raise RuntimeError(await answer.text())
        await answer.read()


KINDS: dict[str, Ask] = {"an empty answer": live, "the whole path, pcm": speech}


async def measure(sides: tuple[Side, Side], ask: Ask, count: int) -> tuple[Cost, Cost]:
    """Ask both ``count`` times; each is the first of the two every other time."""
    for side in sides:
        for _ in range(WARM_UP):
            await ask(side.session)
    before = [processor_seconds(side.pid) for side in sides]
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(count):
        for index in (0, 1) if number % 2 else (1, 0):
            begin = time.perf_counter()
            await ask(sides[index].session)
            times[index].append(time.perf_counter() - begin)
    spent = [processor_seconds(side.pid) - start for side, start in zip(sides, before, strict=True)]
    this, other = (
        Cost(median(each) * 1000, quantile(each, 0.95) * 1000, seconds / count * 1000)
        for each, seconds in zip(times, spent, strict=True)
    )
    return this, other


async def compare(against: Path, count: int) -> dict[str, tuple[Cost, Cost]]:
    """What a request costs here and there, both servers started for it."""
    settings: dict[str, object] = {"engines": [NULL.model_dump(mode="json", exclude_defaults=True)]}
    async with AsyncExitStack() as sessions:
        with ExitStack() as servers:
            started = [servers.enter_context(serve(settings, checkout=each)) for each in (None, against)]
            this, other = [
                Side(await sessions.enter_async_context(aiohttp.ClientSession(address)), pid)
                for address, pid in started
            ]
            return {title: await measure((this, other), ask, count) for title, ask in KINDS.items()}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, required=True, help="the other checkout")
    parser.add_argument("--count", type=int, default=300, help="requests of each kind to each, in a round")
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        help="each with servers of its own: a server's start makes it a little faster or slower",
    )
    options = parser.parse_args()
    print(f"{machine()}\n")
    rounds = [asyncio.run(compare(options.against.resolve(), options.count)) for _ in range(options.rounds)]
    other = options.against.name
    rows: list[list[str]] = []
    for title in KINDS:
        here, there = zip(*(each[title] for each in rounds), strict=True)
        ratios = [this / before for this, before in zip(here, there, strict=True)]
        rows += [
            _row(f"{title}, this, ms", here),
            _row(f"{title}, {other}, ms", there),
            _row(f"{title}, this ÷ {other}", ratios),
        ]
    print_table(("", "p50", "p95", "processor"), rows)


def _row(title: str, costs: Sequence[Cost]) -> list[str]:
    """The medians over the rounds, and the least and the most."""
    columns = zip(*(astuple(cost) for cost in costs), strict=True)
    return [title, *(f"{median(each):.2f} ({min(each):.2f} to {max(each):.2f})" for each in columns)]


if __name__ == "__main__":
    main()
