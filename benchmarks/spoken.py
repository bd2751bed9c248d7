"""What is said in the benchmarks of the neural engines, in which voice, and what came of it."""

import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import psutil

RATE: Final = 24_000
"""Hertz of XTTS's audio, and of the recording."""

TEXTS: Final = (
    "The train to Mumbai leaves at half past nine from the second platform.",
    "Please wait for a moment.",
    "Yet another sentence, which is clearly longer than all of the others that are spoken along with it.",
    "She opened the window and looked out over the quiet street.",
    "Tomorrow it will rain in the north and be dry in the south.",
    "Your order has left our house and will be with you soon.",
    "We could walk along the river, if the weather stays as it is.",
    "He said nothing.",
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """One sentence: seconds until its first audio and until its end, and seconds of audio in it."""

    first: float
    total: float
    audio: float


def recording(seconds: float = 8.0) -> npt.NDArray[np.float32]:
    """A voice of pulses with a wandering pitch: what is said costs nothing, only how long it is. Shape (samples,)."""
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 * (1 + 0.1 * np.sin(6 * np.pi * time))) / RATE
    tone = np.sum([np.sin(k * phase) / k for k in range(1, 12)], axis=0)
    noise = np.random.default_rng(0).standard_normal(time.size)
    return (0.2 * tone * (0.5 + 0.5 * np.sin(4 * np.pi * time) ** 2) + 0.005 * noise).astype(np.float32)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of all lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values) if values else float("nan")


def print_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table in Markdown."""
    print("| " + " | ".join(head) + " |")
    print("| " + " | ".join("---" for _ in head) + " |")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(flush=True)


def machine() -> str:
    """The time, and what the benchmark runs on."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {psutil.cpu_count()} cores, {platform.platform()}, "
        f"Python {platform.python_version()}"
    )


def processor() -> str:
    """The name of the processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a pseudo-file of Linux
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
