"""Every format that is accepted becomes the canonical wav."""

import wave
from pathlib import Path

import numpy as np
import pytest

from services.samples.cut import MAX_PAUSE_SECONDS
from services.samples.loudness import LoudnessMeter
from services.samples.report import SampleReport

import media
from examining import examine
from hostile import good
from speaking import RATE, sentences, speech

SHARED = Path(__file__).parents[4] / "shared" / "audio"


def canonical(path: Path) -> np.ndarray:
    """Its samples; the header has to be what is promised."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        assert len(pcm) == file.getnframes()
    assert path.stat().st_size == 44 + 2 * len(pcm)
    return pcm.astype(np.float32) / 32_768


def loudness(sound: np.ndarray) -> float:
    meter = LoudnessMeter(24_000)
    meter.feed(sound)
    return meter.integrated()


@pytest.mark.parametrize("name", sorted(good()))
async def test_a_format(tmp_path: Path, name: str):
    report = await examine(good()[name], tmp_path)
    sound = canonical(tmp_path / "canonical.wav")
    assert report.seconds == pytest.approx(len(sound) / 24_000, abs=0.001)
    spoken = sentences()[0].size / RATE
    assert report.seconds == pytest.approx(spoken, abs=0.6)
    assert report.speech_seconds == pytest.approx(spoken, rel=0.15)
    assert loudness(sound) == pytest.approx(-23, abs=1)
    assert np.abs(sound).max() < 0.95
    containers = {"opus": "ogg", "vorbis": "ogg", "alac": "mp4", "mkv": "matroska"}
    assert report.source.container == ("mp4" if name.startswith("m4a") else containers.get(name, name))
    assert report.source.seconds == pytest.approx(speech(count=1).size / RATE, abs=0.12)
    assert not [finding for finding in report.findings if finding.severity == "error"]
    again = SampleReport.model_validate_json(report.model_dump_json())
    assert again == report


@pytest.mark.parametrize(
    ("rate", "layout"), [(8_000, "mono"), (16_000, "stereo"), (44_100, "5.1"), (192_000, "7.1")]
)
async def test_rates_and_channels(tmp_path: Path, rate: int, layout: str):
    report = await examine(media.encode(speech(count=1), "flac", "flac", rate, layout=layout), tmp_path)
    assert report.source.sample_rate == rate
    assert loudness(canonical(tmp_path / "canonical.wav")) == pytest.approx(-23, abs=1)


async def test_long_pauses_are_shortened_and_short_ones_kept(tmp_path: Path):
    first, second, third = sentences()[:3]
    quiet = np.zeros(round(4 * RATE), np.float32)
    short = np.zeros(round(0.2 * RATE), np.float32)
    sound = np.concatenate([quiet, first, quiet, second, short, third, quiet]) * np.float32(0.5)
    report = await examine(media.wav(media.pcm16(sound)), tmp_path)
    spoken = (first.size + second.size + third.size + short.size) / RATE
    # The engine's own sentences begin and end with some silence.
    assert report.seconds == pytest.approx(spoken + MAX_PAUSE_SECONDS, abs=1.0)
    assert report.source.seconds == pytest.approx(sound.size / RATE, abs=0.01)
    made = np.abs(canonical(tmp_path / "canonical.wav"))
    assert made[: round(0.1 * RATE)].max() < 0.01
    assert made[round(0.16 * RATE) : round(0.6 * RATE)].max() > 0.02


async def test_peaks_are_limited_and_not_clipped(tmp_path: Path):
    sound = speech(count=2) * np.float32(0.1)
    sound[30_000:30_024] += 0.9  # a knock, far above the speech
    report = await examine(media.wav(media.pcm16(sound)), tmp_path)
    made = canonical(tmp_path / "canonical.wav")
    assert report.peak_dbfs > -1
    assert np.abs(made).max() <= 10 ** (-1 / 20) + 0.001
    assert loudness(made) == pytest.approx(-23, abs=1)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings are not here")
@pytest.mark.parametrize("name", ["LJ001-0001.wav", "LJ001-0004.flac", "LJ001-0007.mp3"])
async def test_real_recordings(tmp_path: Path, name: str):
    report = await examine((SHARED / name).read_bytes(), tmp_path)
    assert report.source.sample_rate == 22_050
    assert 150 < (report.pitch_hz or 0) < 300
    assert not [finding for finding in report.findings if finding.severity != "info"]
    assert loudness(canonical(tmp_path / "canonical.wav")) == pytest.approx(-23, abs=1)
