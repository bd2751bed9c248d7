"""What a flood of one tenant costs another, and what fairness costs the throughput; in process, in one run."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from engines.batcher import Batcher
from engines.config import BatchingConfig, EngineConfig
from engines.contract import EngineAdapter, Utterance
from engines.synthetic import SyntheticEngine

BASE_MS, ITEM_MS, MAX_BATCH = 50.0, 5.0, 16
FLOOD = 200
SENTENCE = "The quick brown fox jumps over the lazy dog, and the train to Mumbai leaves at half past nine."
COST = BASE_MS + ITEM_MS * MAX_BATCH


class Counting(SyntheticEngine):
    """Counts its batches."""

    batches = 0

    async def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[tuple[int, object], None]:  # type: ignore[override]  # passes on what it gets
        """See the contract."""
        self.batches += 1
        async for item in super().stream(batch):
            yield item


class Run:
    """One run of the batcher under a flood.

    Args:
        seconds: Of load.
        tenants: Whether tenants are told apart.
    """

    def __init__(self, seconds: float, *, tenants: bool) -> None:
        self._seconds = seconds
        self._tenants = tenants
        self.done: dict[str, int] = {}
        self.waits: list[tuple[int, float]] = []

    async def go(self, *, weights: tuple[float, float] | None = None) -> None:
        """Tenant A keeps 200 sentences queued; B sends one at a time, or 200 too when there are weights."""
        engine = Counting(
            EngineConfig(
                name="SYNTHETIC",
                type="SYNTHETIC",
                options={"base_ms": BASE_MS, "item_ms": ITEM_MS, "seconds_per_char": 0.05},
            )
        )
        await engine.load()

        @asynccontextmanager
        async def hold() -> AsyncGenerator[EngineAdapter, None]:
            yield engine

        config = BatchingConfig(max_batch_size=MAX_BATCH, max_queue=1_000)
        batcher = Batcher(engine, hold, config)
        end = time.perf_counter() + self._seconds

        async def caller(name: str, weight: float) -> None:
            while (begin := time.perf_counter()) < end:
                before = engine.batches
                ticket = batcher.submit(
                    Utterance(text=SENTENCE, voice="tone", language="en"),
                    tenant=name if self._tenants else "one",
                    weight=weight,
                )
                async for _ in ticket.chunks():
                    if name == "B" and weights is None:
                        self.waits.append((engine.batches - before, time.perf_counter() - begin))
                    break
                async for _ in ticket.chunks():
                    pass
                if time.perf_counter() < end:
                    self.done[name] = self.done.get(name, 0) + 1

        a, b = weights or (1.0, 1.0)
        others = FLOOD if weights else 1
        await asyncio.gather(
            *(caller("A", a) for _ in range(FLOOD)), *(caller("B", b) for _ in range(others))
        )
        await batcher.close()
        await engine.close()

    @property
    def rate(self) -> float:
        """Sentences a second, of both."""
        return sum(self.done.values()) / self._seconds


async def bench_fairness(seconds: float) -> None:
    """Print what the queue does under a flood."""
    print(f"\n## Fair shares: A keeps {FLOOD} sentences queued, B sends one at a time\n")
    print(
        f"{BASE_MS:g} ms a batch + {ITEM_MS:g} ms an item, batches of up to {MAX_BATCH}: {COST:g} ms a full batch\n"
    )
    print("| queue | B's wait p50 / p95, batches | B's wait p50 / p95, ms | sentences/s, A + B |")
    print("| --- | --- | --- | --- |")
    rates: dict[bool, float] = {}
    for tenants in (False, True):
        run = Run(seconds, tenants=tenants)
        await run.go()
        batches, times = (sorted(column) for column in zip(*run.waits, strict=True))
        p95 = min(len(times) - 1, int(len(times) * 0.95))
        name = "fair, by tenant" if tenants else "first come, first served"
        print(
            f"| {name} | {batches[len(batches) // 2]} / {batches[p95]} "
            f"| {times[len(times) // 2] * 1000:.0f} / {times[p95] * 1000:.0f} | {run.rate:.1f} |"
        )
        rates[tenants] = run.rate
    print(f"\nThroughput with fairness: {rates[True] / rates[False]:.1%} of that without.")
    run = Run(seconds, tenants=True)
    await run.go(weights=(1.0, 3.0))
    print(f"Both flood, weights 1 and 3: B gets {run.done['B'] / run.done['A']:.2f} times what A gets.")


if __name__ == "__main__":
    asyncio.run(bench_fairness(10.0))
