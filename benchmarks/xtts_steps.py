"""A step of XTTS's decoder over rows and precisions, beside the memory's bandwidth and stock's own step."""

import importlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from apart import Apart
from quiet import Watch
from spoken import TEXTS, median, print_table
from stock import StockXtts

BYTES: Final = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}
"""Of a weight."""

COPIED: Final = 2**28
"""Bytes that are copied to measure the bandwidth: more than any cache holds."""

COPIES: Final = 8
WARM_UP: Final = 3
"""Steps that are not counted."""


class Memory:
    """The device's memory, and the weights of a checkpoint.

    Args:
        folder: The checkpoint's.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, folder: str, device: str) -> None:
        self._folder, self._device = Path(folder), device
        self._torch: Any = importlib.import_module("torch")

    def bandwidth(self) -> float:
        """Bytes read and written a second, by copying; the best of some copies."""
        torch = self._torch
        source = torch.ones(COPIED, dtype=torch.uint8, device=self._device)
        target = torch.empty_like(source)
        best = float("inf")
        for _ in range(COPIES):
            _wait(torch, self._device)
            begin = time.perf_counter()
            target.copy_(source)
            _wait(torch, self._device)
            best = min(best, time.perf_counter() - begin)
        return 2 * COPIED / best

    def weights(self) -> int:
        """Weights that each step of the decoder reads: its layers'."""
        path = self._folder / "model.pth"
        state = self._torch.load(path, weights_only=True, mmap=True, map_location="cpu")["model"]
        return sum(tensor.numel() for name, tensor in state.items() if name.startswith("gpt.gpt.h."))

    def name(self) -> str:
        """The device's name."""
        return str(self._torch.cuda.get_device_name()) if self._device == "cuda" else "the CPU"


class Steps:
    """Our decoder in one precision, without vocoder and server.

    Args:
        folder: The checkpoint's.
        device: ``cpu`` or ``cuda``.
        precision: Of its matrices.
        slots: Rows, at most.
        threads: Of torch, on the CPU; 0 leaves its own number.
    """

    def __init__(self, folder: str, device: str, precision: str, slots: int, threads: int) -> None:
        torch: Any = importlib.import_module("torch")
        if threads:
            torch.set_num_threads(threads)
        checkpoints: Any = importlib.import_module("engines.xtts.checkpoint")
        decoders: Any = importlib.import_module("engines.xtts.decoder")
        precisions: Any = importlib.import_module("engines.xtts.precision")
        self._torch, self._device, self._slots = torch, device, slots
        checkpoint = checkpoints.load_checkpoint(Path(folder))
        self._tokenizer = checkpoint.tokenizer
        self._decoder = decoders.Decoder(
            checkpoint.gpt,
            checkpoint.shape,
            slots=slots,
            precision=precisions.Precision(precision),
            device=torch.device(device),
        )
        random = np.random.default_rng(0).standard_normal((checkpoint.shape.latents, checkpoint.shape.width))
        self._prefix = self._decoder.prefix(torch.from_numpy(0.1 * random.astype(np.float32)))

    def measure(self, rows: int, steps: int) -> float:
        """Seconds of a step with so many rows, sampling included; the median."""
        generations: Any = importlib.import_module("engines.xtts.generation")
        samplings: Any = importlib.import_module("engines.xtts.sampling")
        generation = generations.Generation(self._decoder, self._slots)
        for number in range(rows):
            text = self._tokenizer.encode(TEXTS[number % len(TEXTS)].lower(), lang="en")
            sampling = samplings.Sampling(
                seed=number, min_tokens=steps + WARM_UP + 1, max_tokens=steps + WARM_UP + 1
            )
            generation.join(generations.Row(text, self._prefix, sampling, lambda _: None))
        times: list[float] = []
        for _ in range(steps + WARM_UP):
            _wait(self._torch, self._device)
            begin = time.perf_counter()
            generation.step()
            _wait(self._torch, self._device)
            times.append(time.perf_counter() - begin)
        generation.clear()
        return median(times[WARM_UP:])


def bench_steps(
    folder: Path,
    device: str,
    *,
    precisions: Sequence[str],
    rows: Sequence[int],
    steps: int,
    threads: int,
    stock: bool,
) -> None:
    """Print the table.

    Args:
        folder: The checkpoint's.
        device: ``cpu`` or ``cuda``.
        precisions: Of the decoder.
        rows: Sentences that are decoded at once.
        steps: Of each measurement.
        threads: Of torch, on the CPU; 0 leaves its own number.
        stock: Whether stock's step has a row.
    """
    with Apart(Memory, str(folder), device) as memory:
        name, weights, bandwidth = (memory.call(order) for order in ("name", "weights", "bandwidth"))
    print(f"\n## A step of XTTS's decoder on {name}, ms (× its floor), tokens/s at {rows[-1]}\n")
    table: list[list[str]] = []
    if stock:
        with Apart(StockXtts, str(folder), device) as theirs, Watch() as watch:
            theirs.call("load")
            theirs.call("step", TEXTS[0], WARM_UP)
            took: float = theirs.call("step", TEXTS[0], steps)
        floor = weights * BYTES["fp32"] / bandwidth
        cells = [f"{took * 1000:.1f} ({took / floor:.1f})", *("–" for _ in rows[1:])]
        table.append(
            ["stock, fp32", f"{floor * 1000:.2f}", *cells, f"{1 / took:.0f} at 1", f"{watch.others:.0%}"]
        )
    for precision in precisions:
        floor = weights * BYTES[precision] / bandwidth
        with Apart(Steps, str(folder), device, precision, max(rows), threads) as ours, Watch() as watch:
            times = [float(ours.call("measure", count, steps)) for count in rows]
        cells = [f"{took * 1000:.1f} ({took / floor:.1f})" for took in times]
        rate = rows[-1] / times[-1]
        table.append([precision, f"{floor * 1000:.2f}", *cells, f"{rate:.0f}", f"{watch.others:.0%}"])
    print_table(["", "floor, ms", *(f"{count} rows" for count in rows), "tokens/s", "others"], table)
    print(
        f"Floor: the layers' {weights / 1e6:.0f} million weights, read once at the {bandwidth / 1e9:.0f} GB/s that a copy "
        "reads and writes here. Sampling is included, the vocoder is not.\n"
    )


def _wait(torch: Any, device: str) -> None:  # noqa: ANN401 - a module that is imported late
    """Until the device has done all it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
