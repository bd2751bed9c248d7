"""What `make bench-engines` prints: XTTS beside stock coqui-tts, in process and through the server, and OpenVoice.

Weights are random, in the real file formats and, by default, at their full size: speed is real, what is spoken is
noise. All in one run, our side and stock by turns; ratios count, not absolute times. Without a GPU the parts run on
the CPU; with `--device cuda` the curve over callers is measured on it, and all is over in less than eight minutes.
"""

# The file is not called `engines`: a script's folder comes first on the path, and would hide the package.

import argparse
import asyncio
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from checkpoints import checkpoint
from spoken import processor
from xtts_callers import bench_callers
from xtts_direct import bench_direct
from xtts_lifecycle import bench_lifecycle
from xtts_memory import bench_memory
from xtts_steps import bench_steps

PARTS: Final = ("direct", "server", "callers", "steps", "memory", "openvoice", "lifecycle")
DEFAULT: Final = {
    "cpu": ("direct", "server", "steps", "memory", "openvoice", "lifecycle"),
    "cuda": ("callers", "steps", "direct", "lifecycle", "memory", "server"),
}
"""The parts that run unless one is named, the most wanted first."""

PRECISIONS: Final = {
    "cpu": ("fp32/fp32", "bf16/bf16", "int8/bf16"),
    "cuda": ("fp32/fp32", "bf16/bf16", "fp16/fp16"),
}
"""Rows, unless others are named: the decoder's, and the vocoder's."""

PACKAGES: Final = ("torch", "coqui-tts", "transformers", "numpy")
CUDA_BUDGET: Final = 400.0
"""Seconds after which no further part is begun on a GPU: it is lent, or paid for."""

OPENVOICE_TIMEOUT: Final = 1_800.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        tokens: Audio tokens of a sentence; 100 are 4.6 s of audio.
        rounds: Times that stock speaks its 8 sentences.
        callers: Rows of the server's table.
        each: Requests of each caller.
        requests: Of the memory benchmark.
        many: Rows of the tables in process.
        steps: Of the decoder, timed for each figure.
    """

    tokens: int = 100
    rounds: int = 2
    callers: tuple[int, ...] = (1, 2, 4, 8, 16)
    each: int = 3
    requests: int = 1_000
    many: tuple[int, ...] = (1, 2, 4, 8, 16)
    steps: int = 30


QUICK: Final = Plan(tokens=40, rounds=1, callers=(1, 4, 8), each=2, requests=300, many=(1, 8), steps=10)


def options_of(precisions: Sequence[str]) -> list[dict[str, Any]]:
    """Options of the engine, one set for each precision."""
    rows: list[dict[str, Any]] = []
    for name in precisions:
        decoder, _, vocoder = name.partition("/")
        rows.append({"precision": decoder, **({"vocoder_precision": vocoder} if vocoder else {})})
    return rows


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=PARTS, help="this part alone; may be repeated")
    parser.add_argument("--size", choices=("tiny", "full"), default="full", help="of the checkpoint")
    parser.add_argument("--quick", action="store_true", help="shorter sentences, fewer rounds")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--plot", type=Path, help="draw the server's curves into this .svg or .png")
    parser.add_argument("--checkpoint", type=Path, help="folder of a checkpoint; made when it is not there")
    parser.add_argument("--tokens", type=int, help="audio tokens of a sentence")
    parser.add_argument(
        "--precision",
        action="append",
        help="a row's: int8/bf16 (the decoder's, the vocoder's) or int8 (the vocoder's as the engine chooses); may be repeated",
    )
    parser.add_argument("--served", default="auto", help="precision behind the server and over callers")
    parser.add_argument(
        "--threads", type=int, default=0, help="of torch in the part `steps`; 0: its own number"
    )
    parser.add_argument("--without-stock", action="store_true", help="leave stock coqui-tts out")
    return parser.parse_args()


def plan_of(given: argparse.Namespace) -> Plan:
    """How much is measured, by what was asked for."""
    plan = QUICK if given.quick else Plan()
    if given.device == "cuda":
        plan = replace(plan, rounds=1, each=2, many=(1, 2, 4, 8, 16, 32, 64), callers=(1, 4, 16, 32))
    return replace(plan, tokens=given.tokens) if given.tokens else plan


def print_heading(given: argparse.Namespace) -> None:
    """The command, the machine, the date and the versions."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    load, *_ = psutil.getloadavg()
    threading = " ".join(f"{name}={value}" for name, value in os.environ.items() if name.startswith("OMP_"))
    print(
        f"`{threading}{' ' * bool(threading)}python benchmarks/models.py {' '.join(sys.argv[1:])}`\n\n"
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {processor()}, {psutil.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB; {platform.platform()}; Python {platform.python_version()}; {versions}.\n"
        f"{'Full-size' if given.size == 'full' else 'Tiny'} checkpoint, random weights. Load before: {load:.1f}."
    )
    if given.device == "cpu" and not _has_cuda():
        print("No GPU here: nothing was measured on one.")
    sys.stdout.flush()


def _has_cuda() -> bool:
    torch: Any = importlib.import_module("torch")
    return bool(torch.cuda.is_available())


def bench_openvoice(size: str) -> None:
    """The benchmark of OpenVoice, a command of its own."""
    script = Path(__file__).with_name("openvoice.py")
    print("\n## OpenVoice\n", flush=True)
    subprocess.run([sys.executable, str(script), "--size", size], timeout=OPENVOICE_TIMEOUT, check=False)


def bench_server(folder: Path, given: argparse.Namespace, plan: Plan, options: dict[str, Any]) -> None:
    """The whole server's curve, and its picture when it was asked for."""
    if importlib.util.find_spec("bentoml") is None:
        print("\nBentoML is not installed: the whole server was not measured.", flush=True)
        return
    server: Any = importlib.import_module("xtts_server")
    points = asyncio.run(
        server.bench_server(
            folder,
            given.device,
            tokens=plan.tokens,
            callers=plan.callers,
            each=plan.each,
            options=options,
            stock=not given.without_stock,
        )
    )
    if given.plot:
        title = f"XTTS, {given.size} size, {plan.tokens} audio tokens a sentence, {psutil.cpu_count()} cores"
        if given.device == "cuda":
            title = title.replace(f"{psutil.cpu_count()} cores", "GPU")
        importlib.import_module("plot").plot(points, given.plot, title)


def main() -> None:
    """Run the parts that were asked for."""
    given = arguments()
    plan, stock, begin = plan_of(given), not given.without_stock, time.monotonic()
    rows = options_of(given.precision or PRECISIONS[given.device])
    served = options_of([given.served])[0]
    if given.device == "cuda":
        served["slots"] = max(plan.many)
    print_heading(given)
    with ExitStack() as stack:
        made: dict[str, Path] = {}

        def folder(size: str) -> Path:
            if size not in made:
                made[size] = stack.enter_context(
                    checkpoint(size, given.checkpoint if size == given.size else None)
                )
            return made[size]

        parts: dict[str, Callable[[], None]] = {
            "direct": lambda: bench_direct(
                folder(given.size),
                given.device,
                tokens=plan.tokens,
                rounds=plan.rounds,
                options=rows,
                stock=stock,
            ),
            "server": lambda: bench_server(folder(given.size), given, plan, served),
            "callers": lambda: bench_callers(
                folder(given.size),
                given.device,
                tokens=plan.tokens,
                callers=plan.many,
                each=plan.each,
                options=served,
            ),
            "steps": lambda: bench_steps(
                folder(given.size),
                given.device,
                precisions=[name.partition("/")[0] for name in given.precision or PRECISIONS[given.device]],
                rows=plan.many,
                steps=plan.steps,
                threads=given.threads,
                stock=stock,
            ),
            "memory": lambda: bench_memory(folder("tiny"), given.device, count=plan.requests),
            "openvoice": lambda: bench_openvoice(given.size),
            "lifecycle": lambda: bench_lifecycle(folder(given.size), given.device, options=rows, stock=stock),
        }
        for name in given.only or DEFAULT[given.device]:
            if given.device == "cuda" and time.monotonic() - begin > CUDA_BUDGET:
                print(f"\nThe part {name} was left out: {CUDA_BUDGET:.0f} s are over.", flush=True)
                continue
            try:
                parts[name]()
            except (RuntimeError, TimeoutError) as error:
                print(f"The part {name} did not come to its end:\n{error}", file=sys.stderr)
                last = str(error).strip().rpartition("\n")[2]
                print(f"\nThe part {name} did not come to its end: {last}\n", flush=True)
    print(f"All of it took {(time.monotonic() - begin) / 60:.1f} minutes.")


if __name__ == "__main__":
    main()
