"""OpenVoice V2 beside coqui-tts's own, full size with random weights, by turns in one process.

    python benchmarks/openvoice.py             # two threads, at most
    python benchmarks/openvoice.py --threads 1 --rounds 5

Real-time factor: seconds of computing for a second of sound, the quickest of the rounds; "speed" is its inverse.
With one thread it is processor time, which other processes disturb less than the clock on the wall. Of the whole
engine, which has processes of its own, it is the wall's, beside the processor time of all of them.
"""

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from engines.config import EngineConfig
from engines.contract import ReferenceSample, Speech, Utterance, VoiceEmbeddingRef, synthesize
from engines.coqui import coqui
from engines.fidelity import decibels
from engines.openvoice.adapter import OpenVoiceEngine
from engines.openvoice.checkpoint import load_checkpoint
from engines.openvoice.conversion import Converter, Piece
from engines.openvoice.pieces import cuts
from engines.openvoice.row import Row

from quiet import Watch, processor_seconds

MAKER: Final = Path(__file__).resolve().parent.parent / "scripts" / "random_openvoice.py"
MAKE_TIMEOUT: Final = 600.0
RATE: Final = 22_050
HOP: Final = 256
SECONDS: Final = 4.0
"""Of each row."""
BATCHES: Final = (1, 2, 4, 8)
DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16}
TEXT: Final = "The birch canoe slid on the smooth planks while a quick brown fox jumped over the lazy dog."


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        subject: What was measured.
        rows: Utterances together.
        factor: Real-time factor.
        ratio: How many times as quick as stock, one row after the other.
        processor: Processor seconds for a second of sound.
        snr: Decibels against stock's sound with the same noise; ``None``: it is another one.
        first: Seconds to the first sound, of a whole engine.
        others: Share of the processors that others used meanwhile.
    """

    subject: str
    rows: int
    factor: float
    ratio: float
    processor: float
    snr: float | None = None
    first: float | None = None
    others: float = 0.0


def rows(*, threads: int = 2, rounds: int = 3, size: str = "full") -> Iterator[Figure]:
    """Measure the conversion and the whole engine; minutes."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, str(MAKER), size, str(folder)]
        subprocess.run(command, capture_output=True, check=True, timeout=MAKE_TIMEOUT)
        stock = 0.0
        for figure in _conversion(folder, threads, rounds):
            stock = stock or figure.factor
            yield figure
        gc.collect()
        for precision in DTYPES:
            yield from asyncio.run(_engine(folder, precision, threads, rounds, stock))


def _conversion(folder: Path, threads: int, rounds: int) -> Iterator[Figure]:
    network = _stock(folder)
    converters = {name: Converter(load_checkpoint(folder), dtype=dtype) for name, dtype in DTYPES.items()}
    speech = [_row(number) for number in range(max(BATCHES))]
    clock = time.thread_time if threads == 1 else time.perf_counter
    heard: dict[str, np.ndarray] = {}
    stock = 0.0
    for count in BATCHES:
        batch = speech[:count]
        cases: dict[str, Callable[[], np.ndarray]] = {}
        if count == 1:
            cases["coqui-tts fp32"] = lambda: _stock_speech(network, speech[0])
        for name, converter in converters.items():
            cases[f"ours {name}"] = lambda converter=converter, batch=batch: _in_pieces(converter, batch)
        quickest: dict[str, tuple[float, float]] = {}
        with Watch() as watch:
            for _ in range(rounds + 1):  # the first one compiles
                for name, convert in cases.items():
                    start, used = clock(), time.process_time()
                    heard[name] = convert()
                    spent = clock() - start, time.process_time() - used
                    quickest[name] = min(quickest.get(name, spent), spent)
        reference = heard["coqui-tts fp32"]
        for name, (spent, used) in quickest.items():
            factor = spent / (count * SECONDS)
            stock = stock or factor
            snr = decibels(torch.as_tensor(reference), torch.as_tensor(heard[name][: len(reference)]))
            share = used / (count * SECONDS)
            yield Figure(name, count, factor, stock / factor, share, snr, others=watch.others)


def _stock(folder: Path) -> Any:  # noqa: ANN401 - coqui-tts has no types
    configs: Any = coqui("vc.configs.openvoice_config")
    model = json.loads((folder / "config.json").read_text())["model"]
    config = configs.OpenVoiceConfig(model_args=configs.OpenVoiceArgs(**model))
    network: Any = coqui("vc.models.openvoice").OpenVoice(config)
    network.load_checkpoint(config, str(folder / "checkpoint.pth"), eval=True)
    return network


def _row(seed: int) -> Row:
    random = np.random.default_rng(seed)
    samples = int(SECONDS * RATE) // HOP * HOP
    colours = random.standard_normal((2, 256), dtype=np.float32)
    speech = random.normal(0, 0.1, samples).astype(np.float32)
    return Row(samples=speech, source=colours[0], target=colours[1], seed=seed)


def _stock_speech(network: Any, row: Row) -> np.ndarray:  # noqa: ANN401 - as above
    """As ``OpenVoice.voice_conversion`` does, with the tone colours known."""
    _, spectrogram = network.extract_se(torch.as_tensor(row.samples))
    source, target = (torch.as_tensor(colour)[None, :, None] for colour in (row.source, row.target))
    torch.manual_seed(row.seed)
    return network.inference(spectrogram, {"g_src": source, "g_tgt": target})["model_outputs"][0, 0].numpy()


def _in_pieces(converter: Converter, batch: Sequence[Row]) -> np.ndarray:
    """As the engine does on the CPU: row after row, in pieces."""
    heard: list[np.ndarray] = []
    for row in batch:
        (latent,) = converter.latents([row])
        for start, stop in cuts(len(latent), converter.context):
            heard += converter.decode([Piece(latent, start, stop)])
    return np.concatenate(heard)


async def _engine(folder: Path, precision: str, threads: int, rounds: int, stock: float) -> list[Figure]:
    """The whole engine, embedded base voice included, in a cloned voice."""
    config = EngineConfig(
        name="openvoice",
        type="OPENVOICE_V2",
        model_path=folder,
        device="cpu",
        options={"precision": precision, "threads": threads, "self_check": False},
    )
    engine = OpenVoiceEngine(config)
    await engine.load()
    try:
        await engine.warm_up()
        plain = await synthesize(engine, [Utterance(text=TEXT, voice="onyx", language="en")])
        spoken = [outcome.pcm for outcome in plain if isinstance(outcome, Speech)]
        voice = await engine.prepare_voice([ReferenceSample(pcm=spoken[0], sample_rate=RATE)])
        return [await _speaking(engine, voice, precision, count, rounds, stock) for count in BATCHES]
    finally:
        await engine.close()


async def _speaking(
    engine: OpenVoiceEngine, voice: VoiceEmbeddingRef, precision: str, count: int, rounds: int, stock: float
) -> Figure:
    utterance = Utterance(text=TEXT, voice="own", language="en", prepared=voice)
    best = (float("inf"), 0.0, 0.0)
    with Watch() as watch:
        for _ in range(rounds + 1):
            begin, used, samples, first = time.perf_counter(), processor_seconds(), 0, 0.0
            async with aclosing(engine.stream([utterance] * count)) as items:
                async for _, item in items:
                    if isinstance(item, np.ndarray):
                        first = first or time.perf_counter() - begin
                        samples += len(item)
            seconds = samples / RATE
            factor = (time.perf_counter() - begin) / seconds
            best = min(best, (factor, (processor_seconds() - used) / seconds, first))
    factor, processor, first = best
    name = f"engine with eSpeak NG, {precision}"
    return Figure(name, count, factor, stock / factor, processor, None, first, watch.others)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="of torch")
    parser.add_argument("--rounds", type=int, default=3, help="the quickest counts")
    parser.add_argument("--size", choices=["tiny", "full"], default="full")
    options = parser.parse_args()
    print(f"\n{options.threads} threads, rows of {SECONDS:g} s; stock takes one row after the other.\n")
    print("| | rows | RTF | speed | × stock | processor s/s | SNR dB | first sound s | others |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for one in rows(threads=options.threads, rounds=options.rounds, size=options.size):
        snr = "" if one.snr is None else f"{one.snr:.0f}"
        first = "" if one.first is None else f"{one.first:.2f}"
        print(
            f"| {one.subject} | {one.rows} | {one.factor:.3f} | {1 / one.factor:.1f} × | {one.ratio:.2f} "
            f"| {one.processor:.3f} | {snr} | {first} | {one.others:.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
