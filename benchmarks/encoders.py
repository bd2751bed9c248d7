"""Prints what each format costs: the table of docs/formats.md.

`first sound`: milliseconds of speech fed, in pieces of 20 ms, before what has been sent decodes to a sample.
`CPU`: processor time for a second of speech, from the engine's PCM to the bytes.
"""

import argparse
import io
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError

from services.audio.formats import FORMATS, HIGHEST_RATE, LOWEST_RATE, AudioFormat
from services.audio.pipeline import AudioPipeline

ENGINE_RATE = 22_050
PIECE = 0.02
WAV_HEADER = 44
TEMPI = (0.25, 0.5, 0.8, 1.25, 2.0, 4.0)

Signal = npt.NDArray[np.int16]


@dataclass
class Cost:
    """What a run cost."""

    cpu_ms: float
    kilobits: float


def speech(rate: int, seconds: float) -> Signal:
    """A voiced sound with pauses and breath."""
    t = np.arange(round(rate * seconds)) / rate
    phase = 2 * np.pi * (140 * t - 5 * np.cos(2 * np.pi * 0.7 * t))
    wave = sum((np.sin(k * phase + k * k) / k for k in range(1, 25)), start=np.zeros(t.size))
    wave = wave * (np.sin(2 * np.pi * 1.3 * t) > -0.3) + np.random.default_rng(0).normal(0, 0.02, t.size)
    return np.rint(wave / np.abs(wave).max() * 14_000).astype(np.int16)


def cost(make: Callable[[], AudioPipeline], signal: Signal, rate: int, piece: float) -> Cost:
    """The least of three runs."""
    size = round(piece * rate)
    seconds = signal.size / rate
    best = float("inf")
    total = 0
    for _ in range(3):
        started = time.process_time()
        pipeline = make()
        total = sum(len(pipeline.feed(signal[at : at + size])) for at in range(0, signal.size, size))
        total += len(pipeline.finish())
        pipeline.close()
        best = min(best, time.process_time() - started)
    return Cost(best / seconds * 1_000, total * 8 / seconds / 1_000)


def decodes(data: bytes, audio_format: AudioFormat) -> bool:
    """Whether there is a sample in these first bytes."""
    if not audio_format.compressed:
        return len(data) > (WAV_HEADER if audio_format.wav else 0)
    container = {"mp3": "mp3", "opus": "ogg", "aac": "aac", "flac": "flac"}[audio_format.coding.name]
    with suppress(FFmpegError), av.open(io.BytesIO(data), "r", format=container) as opened:
        return any(frame.samples for frame in opened.decode(audio=0))
    return False


def first_sound(audio_format: AudioFormat, signal: Signal, rate: int, tempo: float = 1.0) -> str:
    """Milliseconds of speech fed until a sample can be heard."""
    pipeline = AudioPipeline(audio_format, rate, tempo=tempo)
    size, data, found = round(PIECE * rate), b"", "at the end"
    for at in range(0, signal.size, size):
        piece = pipeline.feed(signal[at : at + size])
        data += piece
        if piece and decodes(data, audio_format):
            found = f"{(at + size) / rate * 1_000:.0f} ms"
            break
    pipeline.close()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of speech in each run")
    seconds = parser.parse_args().seconds
    engine = speech(ENGINE_RATE, seconds)
    print(f"{platform.machine()}, Python {platform.python_version()}, PyAV {av.__version__}\n")
    print(
        "| format | content type | sample rates (default) | kbit/s | first sound, resampled from 22,050 Hz | at its own rate | CPU, 20 ms pieces | CPU, 2 s pieces |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, audio_format in FORMATS.items():
        own = audio_format.default_rate
        rates = (
            f"{LOWEST_RATE:,}–{HIGHEST_RATE:,}"
            if audio_format.sample_rates is None
            else ", ".join(f"{rate:,}" for rate in audio_format.sample_rates)
        )

        def make(chosen: AudioFormat = audio_format) -> AudioPipeline:
            return AudioPipeline(chosen, ENGINE_RATE)

        small = cost(make, engine, ENGINE_RATE, PIECE)
        large = cost(make, engine, ENGINE_RATE, 2.0)
        print(
            f"| `{name}` | `{audio_format.content_type}` | {rates} ({own:,}) | {large.kilobits:.0f} "
            f"| {first_sound(audio_format, engine, ENGINE_RATE)} "
            f"| {first_sound(audio_format, speech(own, 2.0), own)} "
            f"| {small.cpu_ms:.1f} ms/s | {large.cpu_ms:.1f} ms/s |"
        )
    print("\n| tempo | first sound (pcm) | CPU per second of input |\n| --- | --- | --- |")
    for tempo in TEMPI:

        def stretch(chosen: float = tempo) -> AudioPipeline:
            return AudioPipeline(FORMATS["pcm"], ENGINE_RATE, ENGINE_RATE, chosen)

        used = cost(stretch, engine, ENGINE_RATE, PIECE)
        first = first_sound(FORMATS["pcm"], engine, ENGINE_RATE, tempo)
        print(f"| {tempo:g} | {first} | {used.cpu_ms:.1f} ms |")


if __name__ == "__main__":
    main()
