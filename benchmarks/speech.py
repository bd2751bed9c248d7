"""What `make bench` prints: the batcher, fair shares, tenancy, voices, the path, the curve over callers, memory.

All in one run. Ratios count, not absolute times: everything, the load generator too, runs on the same cores.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from engines.batcher import Batcher
from engines.config import BatchingConfig, EngineConfig
from engines.contract import EngineAdapter, Utterance, synthesize
from engines.registry import get_engine_adapter
from services.wire.client import EngineClient
from services.wire.frames import Line, SynthesisCall

from adaptation import bench_adaptation
from cloning import bench_voices
from fairness import bench_fairness
from serving import memory, serve
from spoken import machine
from tenancy import bench_tenancy

PARTS = ["batcher", "fairness", "tenancy", "adaptation", "voices", "overhead", "curve", "memory"]
CALLERS = (1, 4, 16, 32, 64)
BASE_MS, ITEM_MS = 50.0, 5.0
MAX_BATCH = 32
SENTENCE = "The quick brown fox jumps over the lazy dog, and the train to Mumbai leaves at half past nine."

SYNTHETIC = EngineConfig(
    name="SYNTHETIC",
    type="SYNTHETIC",
    max_concurrent_jobs=1,
    batching=BatchingConfig(max_batch_size=MAX_BATCH),
    options={"base_ms": BASE_MS, "item_ms": ITEM_MS, "seconds_per_char": 0.05},
)
NULL = SYNTHETIC.model_copy(
    update={"name": "NULL", "options": {"base_ms": 0, "item_ms": 0, "seconds_per_char": 0.05}}
)
ESPEAK = EngineConfig(name="ESPEAK", type="ESPEAK")


@dataclass
class Load:
    """What a number of callers saw."""

    seconds: float
    first: list[float] = field(default_factory=list[float])
    total: list[float] = field(default_factory=list[float])
    errors: int = 0

    @property
    def rate(self) -> float:
        """Finished requests a second."""
        return len(self.total) / self.seconds


def ms(values: list[float], quantile: float = 0.5) -> str:
    """A quantile in milliseconds."""
    ordered = sorted(values)
    return (
        f"{ordered[min(len(ordered) - 1, int(len(ordered) * quantile))] * 1000:8.1f}"
        if ordered
        else "       -"
    )


async def closed_loop(callers: int, seconds: float, once: Callable[[], Awaitable[float]]) -> Load:
    """Callers that each start again as soon as they are answered; ``once`` gives its time to first byte."""
    load = Load(seconds)
    started = time.perf_counter()

    async def caller() -> None:
        while (begin := time.perf_counter()) - started < seconds:
            try:
                load.first.append(await once())
                load.total.append(time.perf_counter() - begin)
            except (aiohttp.ClientError, RuntimeError, TimeoutError):
                load.errors += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    load.seconds = time.perf_counter() - started
    return load


def ideal(callers: int) -> float:
    """Requests a second of the synthetic engine when all callers always share its batches."""
    size = min(callers, MAX_BATCH)
    return size / ((BASE_MS + ITEM_MS * size) / 1000)


def line_for(config: EngineConfig) -> Utterance:
    """The sentence for an engine."""
    return Utterance(text=SENTENCE, voice="tone" if config.type == "SYNTHETIC" else "en-us", language="en")


@asynccontextmanager
async def bare(config: EngineConfig) -> AsyncGenerator[Callable[[], Awaitable[float]], None]:
    """The engine behind its batcher in this process: no HTTP, no encoding."""
    engine = get_engine_adapter(config.type, config)
    await engine.load()

    @asynccontextmanager
    async def hold() -> AsyncGenerator[EngineAdapter, None]:
        yield engine

    batcher = Batcher(engine, hold, config.batching, concurrency=config.max_concurrent_jobs)

    async def once() -> float:
        begin = time.perf_counter()
        first = 0.0
        async for _ in batcher.submit(line_for(config)).chunks():
            first = first or time.perf_counter() - begin
        return first

    try:
        yield once
    finally:
        await batcher.close()
        await engine.close()


async def bench_batcher(seconds: float) -> None:
    """The batcher on the synthetic engine, in process, against the ideal."""
    print(
        f"\n## The batcher: {BASE_MS:g} ms a batch + {ITEM_MS:g} ms an item, batches of up to {MAX_BATCH}\n"
    )
    engine = get_engine_adapter(SYNTHETIC.type, SYNTHETIC)
    await engine.load()
    alone: list[float] = []
    for _ in range(20):
        begin = time.perf_counter()
        await synthesize(engine, [line_for(SYNTHETIC)])
        alone.append(time.perf_counter() - begin)
    print(f"bare cost of one item: {ms(alone).strip()} ms\n")
    print("| callers | items/s | ideal | of ideal | lone caller after the burst, first / median of 20 ms |")
    print("| --- | --- | --- | --- | --- |")
    async with bare(SYNTHETIC) as once:
        for callers in CALLERS:
            load = await closed_loop(callers, seconds, once)
            lone = [await once() for _ in range(20)]
            share = load.rate / ideal(callers)
            lone_first, lone_median = lone[0], statistics.median(lone)
            one = statistics.median(alone)
            print(
                f"| {callers} | {load.rate:.1f} | {ideal(callers):.1f} | {share:.1%} "
                f"| {lone_first * 1000:.1f} ({lone_first / one:.2f} × bare) / {lone_median * 1000:.1f} ({lone_median / one:.2f} ×) |"
            )


async def speech(session: aiohttp.ClientSession, model: str, voice: str, audio: str) -> float:
    """One request through the whole server; gives its time to first byte."""
    begin = time.perf_counter()
    body = {"model": model, "voice": voice, "input": SENTENCE, "response_format": audio}
    async with session.post("/v1/audio/speech", json=body) as answer:
        if answer.status != 200:
            raise RuntimeError(await answer.text())
        first = 0.0
        async for _ in answer.content.iter_any():
            first = first or time.perf_counter() - begin
    return first


async def bench_overhead(address: str, runner_address: str, count: int) -> None:
    """What the path costs when the engine costs nothing: one caller."""
    print("\n## Overhead at one caller, with an engine that costs nothing (ms, p50 / p95)\n")
    async with (
        aiohttp.ClientSession(address) as session,
        EngineClient(NULL, runner_address, first_audio_timeout=30, stall_timeout=30) as client,
    ):
        call = SynthesisCall(lines=(Line(text=SENTENCE, voice="tone", language="en"),))

        async def hop() -> None:
            async for _ in client.speak(call):
                pass

        async def live() -> None:
            async with session.get("/health/live") as answer:
                await answer.read()

        async def whole() -> None:
            await speech(session, "NULL", "tone", "pcm")

        rows = (
            ("an empty answer of the Gateway", live),
            ("the hop: a runner called directly", hop),
            ("the whole path, pcm", whole),
        )
        print("| | p50 | p95 |\n| --- | --- | --- |")
        for name, once in rows:
            for _ in range(50):
                await once()
            times: list[float] = []
            for _ in range(count):
                begin = time.perf_counter()
                await once()
                times.append(time.perf_counter() - begin)
            print(f"| {name} | {ms(times)} | {ms(times, 0.95)} |")


async def bench_curve(address: str, config: EngineConfig, audio: str, seconds: float) -> None:
    """Time to first byte and throughput over callers, against the engine called bare."""
    print(f"\n## {config.name} through the server ({audio}) against the engine called bare\n")
    print(
        "| callers | first byte p50 | p95 ms | requests/s | errors | bare first p50 ms | bare requests/s | of bare |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    voice = line_for(config).voice
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(address, connector=connector) as session:
        for callers in CALLERS:
            async with bare(config) as once:
                await once()
                alone = await closed_loop(callers, seconds, once)
            load = await closed_loop(callers, seconds, lambda: speech(session, config.name, voice, audio))
            print(
                f"| {callers} | {ms(load.first)} | {ms(load.first, 0.95)} | {load.rate:.1f} | {load.errors} "
                f"| {ms(alone.first)} | {alone.rate:.1f} | {load.rate / alone.rate:.1%} |"
            )


async def bench_memory(address: str, pid: int, count: int) -> None:
    """Memory of each process over many requests."""
    print(f"\n## Memory over {count} requests (unique set size, MiB)\n")
    async with aiohttp.ClientSession(address, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def many(number: int) -> None:
            left = iter(range(number))

            async def caller() -> None:
                for index in left:
                    audio = ("pcm", "mp3", "wav", "opus")[index % 4]
                    await speech(session, "ESPEAK", "en-us", audio)

            await asyncio.gather(*(caller() for _ in range(8)))

        await many(1_000)
        before = memory(pid)
        await many(count)
        after = memory(pid)
    print("| process | after 1,000 | after the rest | growth |\n| --- | --- | --- | --- |")
    for name, size in before.items():
        later = after.get(name, float("nan"))
        print(f"| {name} | {size:.1f} | {later:.1f} | {later / size - 1:+.1%} |")


async def main() -> None:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of load for each row")
    parser.add_argument("--requests", type=int, default=10_000, help="of the memory benchmark")
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    options = parser.parse_args()
    wanted = [options.only] if options.only else PARTS
    print(f"AwaazTwin benchmarks, {machine()}")
    alone: dict[str, Callable[[], Awaitable[None]]] = {
        "batcher": lambda: bench_batcher(options.seconds),
        "fairness": lambda: bench_fairness(options.seconds),
        "tenancy": lambda: bench_tenancy(1_000),
        "adaptation": bench_adaptation,
        "voices": lambda: bench_voices(4),
    }
    for part, bench in alone.items():
        if part in wanted:
            await bench()
    if not set(wanted) - set(alone):
        return
    engines = [config.model_dump(mode="json", exclude_defaults=True) for config in (ESPEAK, SYNTHETIC, NULL)]
    settings: dict[str, object] = {"engines": engines}
    with serve(settings) as (address, pid):
        if "overhead" in wanted:
            with serve(settings, "engine_null", "/runner/engine") as (runner, _):
                await bench_overhead(address, runner, 500)
        if "curve" in wanted:
            for config, audio in ((SYNTHETIC, "pcm"), (ESPEAK, "pcm"), (ESPEAK, "mp3")):
                await bench_curve(address, config, audio, options.seconds)
        if "memory" in wanted:
            await bench_memory(address, pid, options.requests)


if __name__ == "__main__":
    asyncio.run(main())
