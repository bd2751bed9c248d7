"""The curves over callers as one small picture."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xtts_server import Point


def plot(points: Mapping[str, Sequence[Point]], path: Path, title: str) -> None:
    """Draw first audio, real-time factor and throughput over callers, a line for each server.

    Args:
        points: By server.
        path: An ``.svg`` or ``.png``; its folder is made.
        title: Above the picture.
    """
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "awaaztwin"  # the same figures give the same file
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    figure.suptitle(title, fontsize=10)
    for name, row in points.items():
        callers = [point.callers for point in row]
        (line,) = axes[0].plot(callers, [point.first50 for point in row], marker="o", label=f"{name}, p50")
        ninety_five = [point.first95 for point in row]
        axes[0].plot(callers, ninety_five, linestyle=":", color=line.get_color(), label=f"{name}, p95")
        axes[1].plot(callers, [point.factor for point in row], marker="o", label=name)
        axes[2].plot(callers, [point.rate for point in row], marker="o", label=name)
    labels = ("first audio, s", "real-time factor", "throughput, × real time")
    for axis, label in zip(axes, labels, strict=True):
        axis.set_xscale("log", base=2)
        axis.set_xticks(callers_of(points), [str(count) for count in callers_of(points)])
        axis.set_xlabel("callers")
        axis.set_title(label, fontsize=9)
        axis.grid(visible=True, alpha=0.3)
        axis.legend(fontsize=7)
    axes[0].set_yscale("log")
    axes[1].set_yscale("log")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def callers_of(points: Mapping[str, Sequence[Point]]) -> list[int]:
    """The numbers of callers that were measured."""
    return sorted({point.callers for row in points.values() for point in row})
