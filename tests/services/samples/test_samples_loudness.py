"""Loudness against FFmpeg's own meter."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from services.samples.loudness import SILENT, LoudnessMeter

import media
from speaking import speech

RATE = 24_000


def by_ffmpeg(path: Path) -> float:
    done = subprocess.run(
        ["ffmpeg", "-hide_banner", "-nostats", "-i", path, "-af", "ebur128", "-f", "null", "-"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return float(re.findall(r"I:\s+(-?[\d.]+) LUFS", done.stderr)[-1])


@pytest.mark.parametrize("gain", [1.0, 0.03])
@pytest.mark.parametrize("voice", ["onyx", "nova"])
def test_it_measures_what_ffmpeg_measures(tmp_path: Path, voice: str, gain: float):
    sound = speech(voice, count=2, pause=1.5) * np.float32(gain)
    (tmp_path / "a.wav").write_bytes(media.wav(media.pcm16(sound)))
    meter = LoudnessMeter(RATE)
    for start in range(0, sound.size, 7_777):
        meter.feed(sound[start : start + 7_777])
    assert meter.integrated() == pytest.approx(by_ffmpeg(tmp_path / "a.wav"), abs=0.2)


def test_the_standards_sine():
    meter = LoudnessMeter(48_000)
    meter.feed(np.sin(2 * np.pi * 997 * np.arange(96_000) / 48_000).astype(np.float32))
    assert meter.integrated() == pytest.approx(-3.01, abs=0.05)


def test_what_is_short_or_silent():
    assert LoudnessMeter(RATE).integrated() == SILENT
    silent = LoudnessMeter(RATE)
    silent.feed(np.zeros(RATE, np.float32))
    assert silent.integrated() == SILENT
    long, short = LoudnessMeter(RATE), LoudnessMeter(RATE)
    tone = (0.1 * np.sin(2 * np.pi * 997 * np.arange(RATE) / RATE)).astype(np.float32)
    long.feed(tone)
    short.feed(tone[: RATE // 5])  # less than a block
    assert short.integrated() == pytest.approx(long.integrated(), abs=0.1)
