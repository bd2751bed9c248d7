"""XTTS in process over callers: for a GPU, above all."""

from pathlib import Path
from typing import Any, Final

from apart import Apart
from ours import OurEngine, engine_settings, forced, summary
from quiet import Watch
from spoken import Spoken, print_table

TOKENS_A_SECOND: Final = 22_050 / 1_024


def bench_callers(
    folder: Path,
    device: str,
    *,
    tokens: int,
    callers: tuple[int, ...],
    each: int,
    options: dict[str, Any],
) -> None:
    """Print the table.

    Args:
        folder: The checkpoint's.
        device: ``cpu`` or ``cuda``.
        tokens: Audio tokens of each sentence, forced.
        callers: Each row's.
        each: Requests of each caller.
        options: Of the engine.
    """
    settings = engine_settings(str(folder), device, forced(options, tokens), batch=max(callers))
    settings["batching"]["max_queue"] = 4 * max(callers)
    print(f"\n## XTTS in process over callers: sentences of {tokens} audio tokens\n")
    rows: list[list[Any]] = []
    with Apart(OurEngine, settings) as engine:
        engine.call("load")
        for count in callers:
            engine.call("callers", count, 1)  # what is made once for each size is made now
            with Watch() as watch:
                seconds, spoken = engine.call("callers", count, each)
            rows.append(_row(count, seconds, spoken, dirty=watch.dirty))
    print_table(
        ["callers", "first audio p50, ms", "p95", "RTF p50", "throughput, × real time", "tokens/s", "dirty"],
        rows,
    )


def _row(count: int, seconds: float, spoken: list[Spoken], *, dirty: bool) -> list[Any]:
    seen = summary(seconds, spoken)
    return [
        count,
        f"{seen['first50'] * 1000:.0f}",
        f"{seen['first95'] * 1000:.0f}",
        f"{seen['factor']:.3f}",
        f"{seen['rate']:.1f}",
        f"{seen['rate'] * TOKENS_A_SECOND:.0f}",
        "yes" if dirty else "",
    ]
