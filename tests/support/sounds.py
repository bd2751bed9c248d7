"""Signals, and what FFmpeg's own program makes of coded ones."""

import subprocess
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engines.contract import Pcm
from services.audio.formats import AudioFormat
from services.audio.pipeline import AudioPipeline


def decode(data: bytes, audio_format: AudioFormat, rate: int) -> Pcm:
    """Decode with ffmpeg at a rate; a complaint fails the test."""
    raw: list[str] = []
    if not audio_format.wav and not audio_format.compressed:
        container = {"pcm": "s16le", "ulaw": "mulaw", "alaw": "alaw"}[audio_format.coding.name]
        raw = ["-f", container, "-ar", str(rate), "-ch_layout", "mono"]
    wanted = ["-f", "s16le", "-ac", "1", "-ar", str(rate), "-"]
    done = subprocess.run(
        ["ffmpeg", "-v", "error", *raw, "-i", "pipe:", *wanted],
        input=data,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert not done.returncode, f"ffmpeg ended with {done.returncode}: {done.stderr.decode()}"
    assert not done.stderr, done.stderr.decode()
    return np.frombuffer(done.stdout, np.int16)


def voice(rate: int, seconds: float) -> Pcm:
    """A voiced sound whose pitch and loudness wander, below 2 kHz."""
    t = np.arange(round(rate * seconds)) / rate
    phase = 2 * np.pi * (140 * t - 5 * np.cos(2 * np.pi * 0.7 * t))
    wave: npt.NDArray[np.float64] = sum(
        (np.sin(k * phase + k * k) / k for k in range(1, 13)), start=np.zeros(t.size)
    )
    wave *= 0.6 + 0.4 * np.sin(2 * np.pi * 1.9 * t)
    return np.rint(wave / np.abs(wave).max(initial=1) * 12_000).astype(np.int16)


def run(pipeline: AudioPipeline, pcm: Pcm, sizes: Sequence[int]) -> bytes:
    """Feed a signal in pieces whose sizes repeat, finish, and return all bytes."""
    data, at, turn = b"", 0, 0
    while at < pcm.size:
        size = sizes[turn % len(sizes)]
        data += pipeline.feed(pcm[at : at + size])
        at, turn = at + size, turn + 1
    data += pipeline.finish()
    pipeline.close()
    return data
