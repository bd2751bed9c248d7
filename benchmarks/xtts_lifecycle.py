"""How long XTTS takes to load, how much memory it has then, and how much it gives back; stock's loader beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from apart import Apart
from ours import OurEngine, engine_settings
from quiet import Watch
from spoken import TEXTS, print_table
from stock import StockXtts

TOKENS: Final = 20


def bench_lifecycle(folder: Path, device: str, *, options: Sequence[dict[str, Any]], stock: bool) -> None:
    """Print the table; every row is a process of its own.

    Args:
        folder: The checkpoint's.
        device: ``cpu`` or ``cuda``.
        options: Of our engine, one for each row.
        stock: Whether stock's loader has a row.
    """
    print("\n## Loading and unloading XTTS\n")
    rows: list[list[str]] = []
    for _ in range(2):  # the first puts the file into the page cache: both sides load from there
        rows = []
        if stock:
            rows.append(_stock(folder, device))
        rows += [_ours(folder, device, row) for row in options]
    print_table(
        [
            "",
            "cold start, s",
            "again, s",
            "loaded, MiB",
            "after speaking",
            "after unloading",
            "before",
            "others",
        ],
        rows,
    )
    print(
        "Cold: all imports included, in a new process with the files in the page cache. Again: in the same process, after "
        "unloading; for stock, without its imports. Ours compares its precision with fp32 at each load. MiB are resident, with the pages of mapped files.\n"
    )


def _stock(folder: Path, device: str) -> list[str]:
    with Apart(StockXtts, str(folder), device) as engine, Watch() as watch:
        seen: dict[str, float] = engine.call("load")
        engine.call("speak", TEXTS[0], TOKENS)
        after: float = engine.call("memory")
    row = ["stock, fp32", f"{seen['import'] + seen['load']:.1f}", f"{seen['load']:.1f}"]
    return [
        *row,
        f"{seen['resident']:.0f}",
        f"{after:.0f}",
        "–",
        f"{seen['before']:.0f}",
        f"{watch.others:.0%}",
    ]


def _ours(folder: Path, device: str, options: dict[str, Any]) -> list[str]:
    limits = {"min_tokens": TOKENS, "max_tokens": TOKENS, "check": False}
    settings = engine_settings(str(folder), device, {**options, **limits})
    with Apart(OurEngine, settings) as engine, Watch() as watch:
        before: float = engine.call("memory")
        cold: dict[str, float] = engine.call("load")
        engine.call("speak", TEXTS[:4])
        after: float = engine.call("memory")
        gone: dict[str, float] = engine.call("unload")
        again: dict[str, float] = engine.call("load")
    name = " / ".join(str(value) for key, value in options.items() if key.endswith("precision")) or "auto"
    sizes = (cold["resident"], after, gone["resident"], before)
    row = [name, f"{cold['load']:.1f}", f"{again['load']:.1f}", *(f"{size:.0f}" for size in sizes)]
    return [*row, f"{watch.others:.0%}"]
