"""Memory of the continuous batcher over a thousand random requests, some of which are given up."""

from pathlib import Path
from typing import Any, Final

from apart import Apart
from ours import MANY_CALLERS, OurEngine, engine_settings
from spoken import print_table

EVERY: Final = 100
TIMEOUT: Final = 3_000.0


def bench_memory(folder: Path, device: str, *, count: int) -> None:
    """Print resident memory after every hundred requests.

    Args:
        folder: A checkpoint's; a tiny one, so that what a request leaves behind is not lost in the weights.
        device: ``cpu`` or ``cuda``.
        count: Requests.
    """
    print(f"\n## Memory: {count} random requests by {MANY_CALLERS} callers through the continuous batcher\n")
    settings = engine_settings(str(folder), device, {"max_tokens": 120})
    with Apart(OurEngine, settings) as engine:
        engine.call("load")
        seen: dict[str, Any] = engine.call("churn", count, EVERY, timeout=TIMEOUT)
    sizes: list[float] = seen["sizes"]
    print_table(
        ["requests", "resident, MiB", "growth since 100"],
        [
            [(number + 1) * EVERY, f"{size:.1f}", f"{size / sizes[0] - 1:+.1%}"]
            for number, size in enumerate(sizes)
        ],
    )
    print(
        f"{seen['spoken']} spoken, {seen['hung up']} given up by their callers, {seen['refused']} refused; afterwards "
        f"{seen['running']} in the engine and {seen['waiting']} waiting.\n"
    )
