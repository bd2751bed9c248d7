"""KOKORO over callers: stock `kokoro-onnx`, the server `fastkokoro`, our engine in process and our whole server.

    python benchmarks/kokoro_callers.py --stock-python venv/bin/python --fastkokoro-python other/bin/python
    python benchmarks/kokoro_callers.py --callers 8 --rounds 5 --json callers.json --plot callers.svg

All in one run, by turns, on the same weights and texts. Ratios count, not absolute times. Each caller asks again as soon as it
is answered. Stock speaks one sentence after another, with its own settings: its callers wait for their turn.
"""

import argparse
import asyncio
import importlib
import json
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aiohttp
import psutil
from contestants import Stock, Weights, kokoro, models_path, stock
from kokoro_servers import Heard, ask, fastkokoro, session

from apart import Apart
from ours import OurEngine, summary
from quiet import Watch
from serving import serve
from spoken import TEXTS, Spoken, median, print_table, processor, quantile
from xtts_server import Point

STOCK, FAST, BARE, WHOLE = "kokoro-onnx", "fastkokoro", "ours, in process", "ours, whole server"
VOICE: Final = "af_heart"
LONE: Final = "She opened the window and looked out over the quiet street again."
"""Twelve words, for the lone caller."""

AT: Final = 8
"""Callers at which the servers are compared."""
CALLERS: Final = (1, 2, 4, 8, 16)
LATE: Final = 0.02
"""Seconds: less than that is no gap that anybody hears."""
HEAD: Final = (
    "callers", "who", "first audio p50, s", "p95", "RTF p50", "throughput, × real time", "sentences/s", "late, share",
    "late p95, s", "errors",
)  # fmt: skip
Speak = Callable[[str], Awaitable[Spoken]]


@dataclass(frozen=True, slots=True)
class Served(Point):
    """What a number of callers saw.

    Attributes:
        sentences: Spoken in a second, of all callers together.
        late: Share of the requests whose audio came later than it plays; NaN where that is not known.
        late95: Seconds by which, 95 %.
    """

    sentences: float
    late: float
    late95: float

    def row(self, name: str) -> list[str]:
        """A row of the table."""
        *cells, errors = Point.row(self, name)
        lateness = ["–", "–"] if self.late != self.late else [f"{self.late:.0%}", f"{self.late95:.2f}"]
        return [*cells, f"{self.sentences:.2f}", *lateness, errors]


async def load(callers: int, each: int, speak: Speak) -> Served:
    """Callers that each ask ``each`` times, again as soon as they are answered."""
    spoken: list[Spoken] = []
    failed: list[str] = []

    async def caller(number: int) -> None:
        for turn in range(each):
            try:
                spoken.append(await speak(TEXTS[(number + turn) % len(TEXTS)]))
            except (aiohttp.ClientError, RuntimeError, TimeoutError) as error:
                failed.append(f"{type(error).__name__}: {error}")

    with Watch() as watch:
        await asyncio.gather(*(caller(number) for number in range(callers)))
    if failed:
        print(f"{len(failed)} requests failed, the first with {failed[0][:300]}", file=sys.stderr)
    return served(callers, watch, spoken, len(failed))


def served(callers: int, watch: Watch, spoken: Sequence[Spoken], errors: int = 0) -> Served:
    """What was seen, in figures."""
    late = [one.late for one in spoken if isinstance(one, Heard)]
    return Served(
        callers=callers,
        errors=errors,
        dirty=watch.dirty,
        sentences=len(spoken) / watch.seconds,
        late=sum(one > LATE for one in late) / len(late) if late else float("nan"),
        late95=quantile(late, 0.95),
        **summary(watch.seconds, spoken),
    )


def middle(points: Sequence[Served]) -> Served:
    """The median of each figure, over those that were alone on the machine, if any were."""
    kept = [point for point in points if not point.dirty] or list(points)
    names = ("first50", "first95", "factor", "rate", "sentences", "late", "late95")
    figures = {name: statistics.median(getattr(point, name) for point in kept) for name in names}
    errors = sum(point.errors for point in points)
    return Served(callers=points[0].callers, errors=errors, dirty=kept[0].dirty, **figures)


class InTurn:
    """Stock, one sentence after another, as whoever serves it has to do it.

    Args:
        stock: Who speaks.
    """

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._turn = asyncio.Lock()

    async def __call__(self, text: str) -> Spoken:
        """Wait for one's turn and hear the whole sentence."""
        begin = time.perf_counter()
        async with self._turn:
            _, audio = await asyncio.to_thread(self._stock.time, text, VOICE)
        took = time.perf_counter() - begin
        return Spoken(first=took, total=took, audio=audio)


class Contest:
    """Everybody who is measured, started.

    Args:
        speakers: By name, those that any number of callers ask.
        bare: Our engine in a process of its own.
    """

    def __init__(self, speakers: dict[str, Speak], bare: Apart | None) -> None:
        self.speakers = speakers
        self._bare = bare

    async def measure(self, callers: int, each: int, rounds: int) -> dict[str, Served]:
        """What each shows at a number of callers, by name."""
        seen: dict[str, list[Served]] = {}
        for _ in range(rounds):
            for name, speak in self.speakers.items():
                few = 1 if name == STOCK and callers > 1 else each
                seen.setdefault(name, []).append(await load(callers, few, speak))
            if self._bare is not None:
                with Watch() as watch:
                    _, spoken = await asyncio.to_thread(self._bare.call, "callers", callers, each)
                seen.setdefault(BARE, []).append(served(callers, watch, spoken))
        return {name: middle(points) for name, points in seen.items()}

    async def alone(self, times: int) -> dict[str, tuple[float, float]]:
        """Seconds until a lone caller hears the first of :data:`LONE`, and the whole of it, median; by name."""
        seen: dict[str, list[Spoken]] = {}
        for _ in range(times):
            for name, speak in self.speakers.items():
                seen.setdefault(name, []).append(await speak(LONE))
        return {
            name: (median([one.first for one in some]), median([one.total for one in some]))
            for name, some in seen.items()
        }


@asynccontextmanager
async def contest(given: argparse.Namespace) -> AsyncGenerator[Contest, None]:
    """Start everybody who was asked for; each has spoken once."""
    folder: Path = given.kokoro or models_path("kokoro")
    voices = given.voices or folder / "voices"
    settings = {**kokoro(folder), "batching": {"max_queue": 4 * max(given.callers)}}
    speakers: dict[str, Speak] = {}
    with ExitStack() as stack:
        async with AsyncExitStack() as sessions:
            if given.stock_python:
                weights = Weights(given.stock_python, folder / "model.onnx", voices)
                speakers[STOCK] = InTurn(stack.enter_context(stock(weights)))
            if given.fastkokoro_python:
                weights = Weights(given.fastkokoro_python, folder / "model.onnx", voices)
                theirs = await sessions.enter_async_context(session(stack.enter_context(fastkokoro(weights))))
                speakers[FAST] = lambda text: ask(theirs, text, model="kokoro", voice=VOICE)
            address, _ = stack.enter_context(serve({"engines": [settings]}))
            client = await sessions.enter_async_context(session(address))
            speakers[WHOLE] = lambda text: ask(client, text, model="KOKORO", voice=VOICE)
            bare = None
            if not given.without_bare:
                bare = stack.enter_context(Apart(OurEngine, settings))
                bare.call("load")
                bare.call("callers", 2, 1)
            for speak in speakers.values():
                await speak(TEXTS[1])
            yield Contest(speakers, bare)


def ratios(points: dict[str, list[Served]], alone: dict[str, tuple[float, float]]) -> list[list[str]]:
    """What was aimed at and what was seen, a row each."""
    at = {name: point for name, row in points.items() for point in row if point.callers == AT}
    rows: list[list[str]] = []

    def add(what: str, over: float | None, under: float | None, aim: str) -> None:
        if over is not None and under:
            rows.append([what, f"{over / under:.2f}", aim])

    rate = {name: point.rate for name, point in at.items()}
    add(f"throughput at {AT} callers, in process, of stock", rate.get(BARE), rate.get(STOCK), "≥ 2.5, 3.5")
    add("whole server, of in process", rate.get(WHOLE), rate.get(BARE), "≥ 0.85")
    add(f"throughput at {AT} callers, of fastkokoro", rate.get(WHOLE), rate.get(FAST), "> 1")
    first95 = {name: point.first95 for name, point in at.items()}
    add(f"first audio p95 at {AT} callers, of fastkokoro's", first95.get(WHOLE), first95.get(FAST), "< 1")
    ours, theirs, fast = (alone.get(name) for name in (WHOLE, STOCK, FAST))
    add("a lone caller's first audio, of stock's sentence", ours and ours[0], theirs and theirs[1], "≤ 0.4")
    add("a lone caller's first audio, of fastkokoro's", ours and ours[0], fast and fast[0], "< 1")
    return rows


def counts(text: str) -> tuple[int, ...]:
    """Numbers of callers, from ``1,2,4``."""
    return tuple(int(part) for part in text.split(","))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kokoro", type=Path, help="folder with model.onnx; without it, of the model kokoro")
    parser.add_argument("--voices", type=Path, help="folder of voices; without it, in the model's")
    parser.add_argument("--stock-python", type=Path, help="of an environment with kokoro-onnx")
    parser.add_argument("--fastkokoro-python", type=Path, help="of an environment with fastkokoro[cpu]")
    parser.add_argument("--without-bare", action="store_true", help="leave our engine in process out")
    parser.add_argument("--callers", type=counts, default=CALLERS, help="1,2,4,8,16")
    parser.add_argument("--each", type=int, default=3, help="requests of each caller, a round")
    parser.add_argument("--rounds", type=int, default=3, help="turns of everybody, at each number of callers")
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    parser.add_argument("--plot", type=Path, help="draw the curves into this .svg or .png; needs matplotlib")
    return parser.parse_args()


async def bench(given: argparse.Namespace) -> None:
    """Print the tables."""
    points: dict[str, list[Served]] = {}
    async with contest(given) as everybody:
        alone = await everybody.alone(max(3, given.rounds))
        for count in given.callers:
            each = 2 * given.each if count == 1 else given.each
            for name, point in (await everybody.measure(count, each, given.rounds)).items():
                points.setdefault(name, []).append(point)
    print_table(
        HEAD,
        [
            point.row(name)
            for rows in zip(*points.values(), strict=True)
            for name, point in zip(points, rows, strict=True)
        ],
    )
    print("* others used more than 8 % of the processors meanwhile.\n")
    print_table(
        ["a lone caller, 12 words", "first audio, s", "all, s"],
        [[name, f"{first:.2f}", f"{whole:.2f}"] for name, (first, whole) in alone.items()],
    )
    print_table(["ratio", "seen", "aim"], ratios(points, alone))
    if given.json:
        found = {
            "points": {name: [asdict(one) for one in row] for name, row in points.items()},
            "alone": alone,
        }
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if given.plot:
        title = f"KOKORO, 8 sentences of English by turns, {psutil.cpu_count()} cores"
        importlib.import_module("plot").plot(points, given.plot, title)


def main() -> None:
    """Print the heading and the tables."""
    given, begin = arguments(), time.monotonic()
    load_before, *_ = psutil.getloadavg()
    print(
        f"`python benchmarks/kokoro_callers.py {' '.join(sys.argv[1:])}`\n\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {processor()}, "
        f"{psutil.cpu_count()} cores. Load before: {load_before:.1f}.\n",
        flush=True,
    )
    asyncio.run(bench(given))
    print(f"All of it took {(time.monotonic() - begin) / 60:.1f} minutes.")


if __name__ == "__main__":
    main()
