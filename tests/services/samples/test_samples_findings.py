"""What is found in recordings whose flaws are known."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soxr

from services.samples.errors import BadSample
from services.samples.report import SampleReport

import media
from examining import examine
from speaking import RATE, sentences, speech

Sound = npt.NDArray[np.float32]


def wav(sound: Sound, rate: int = RATE) -> bytes:
    return media.wav(media.pcm16(sound), rate=rate)


def severities(report: SampleReport) -> dict[str, str]:
    assert all(finding.message and finding.advice for finding in report.findings)
    return {finding.code: finding.severity for finding in report.findings}


def noise(size: int, seed: int = 1) -> Sound:
    return np.random.default_rng(seed).normal(0, 1, size).astype(np.float32)


def speech_rms(sound: Sound) -> float:
    """Over the frames that are loud, which is what speech means here."""
    power = (sound[: sound.size // 768 * 768].reshape(-1, 768) ** 2).mean(1)
    return float(np.sqrt(power[power > np.percentile(power, 95) * 10**-3.5].mean()))


@pytest.mark.parametrize("voice", ["onyx", "alloy", "fable", "shimmer"])
async def test_a_good_recording_has_no_findings(tmp_path: Path, voice: str):
    report = await examine(wav(speech(voice, count=3)), tmp_path)
    assert severities(report) == {}
    assert report.speech_seconds > 8


@pytest.mark.parametrize("snr", [30, 20, 15, 10, 5])
async def test_noise_is_estimated(tmp_path: Path, snr: int):
    sound = speech(count=3)
    noisy = sound + noise(sound.size) * np.float32(speech_rms(sound) * 10 ** (-snr / 20))
    report = await examine(wav((noisy * (0.9 / np.abs(noisy).max())).astype(np.float32)), tmp_path)
    assert report.snr_db == pytest.approx(snr, abs=2.5)
    expected = {5: "error", 10: "warning", 15: "warning"}.get(snr)
    if snr != 20:  # at the border
        assert severities(report).get("noisy") == expected


async def test_a_pause_that_was_cut_out_is_no_clean_room(tmp_path: Path):
    """Noise under the sentences alone, as a noise gate leaves it."""
    quiet = np.zeros(RATE, np.float32)
    level = np.float32(speech_rms(speech(count=3)) * 2 * 10 ** (-12 / 20))
    level *= np.float32(max(np.abs(sentence).max() for sentence in sentences()[:3]))
    parts = [
        part for sentence in sentences()[:3] for part in (sentence + noise(sentence.size) * level, quiet)
    ]
    noisy = np.concatenate(parts)
    report = await examine(wav((noisy * (0.9 / np.abs(noisy).max())).astype(np.float32)), tmp_path)
    assert report.snr_db == pytest.approx(12, abs=3)


@pytest.mark.parametrize(("gain", "severity"), [(1.0, None), (2.5, "error"), (8.0, "error")])
async def test_clipping_is_found_also_below_full_scale(tmp_path: Path, gain: float, severity: str | None):
    sound = np.clip(speech(count=3) * np.float32(2 * gain), -1, 1).astype(np.float32) * np.float32(0.5)
    assert severities(await examine(wav(sound), tmp_path)).get("clipped") == severity


@pytest.mark.parametrize(
    ("container", "codec", "rate"), [("mp3", "libmp3lame", 24_000), ("webm", "libopus", 48_000)]
)
async def test_strong_clipping_is_found_through_lossy_codings(
    tmp_path: Path, container: str, codec: str, rate: int
):
    sound = np.clip(speech(count=3) * np.float32(16), -1, 1).astype(np.float32) * np.float32(0.6)
    report = await examine(media.encode(sound, container, codec, rate), tmp_path)
    assert "clipped" in severities(report)


@pytest.mark.parametrize("stored_at", [8_000, 24_000])
async def test_a_telephone_is_heard_at_any_rate(tmp_path: Path, stored_at: int):
    narrow = soxr.resample(speech(count=3), RATE, 8_000)
    sound = narrow if stored_at == 8_000 else soxr.resample(narrow, 8_000, stored_at)
    report = await examine(wav(sound, stored_at), tmp_path)
    assert severities(report).get("telephone") == "warning"
    assert 3_000 < report.bandwidth_hz <= 4_100


async def test_a_narrow_one_is_mentioned(tmp_path: Path):
    sound = soxr.resample(speech(count=3), RATE, 11_025)
    assert severities(await examine(wav(sound, 11_025), tmp_path)) == {"narrow": "info"}


async def test_quiet_speech_is_raised_and_reported(tmp_path: Path):
    sound = speech(count=3)
    report = await examine(wav(sound * np.float32(0.01)), tmp_path)
    assert severities(report).get("too_quiet") == "warning"
    loud = await examine(wav(sound), tmp_path)
    assert report.level_lufs == pytest.approx(loud.level_lufs - 40, abs=0.5)
    with pytest.raises(BadSample) as refused:
        await examine(wav(sound * np.float32(0.0004)), tmp_path)
    assert refused.value.code == "too_quiet"


@pytest.mark.parametrize(
    ("sound", "code"),
    [
        (noise(5 * RATE) * np.float32(0.1), "no_speech"),
        (np.sin(np.arange(5 * RATE) / 9).astype(np.float32) * np.float32(0.3), "no_speech"),
        (np.zeros(5 * RATE, np.float32), "no_speech"),
        (np.zeros(30, np.float32), "no_speech"),
    ],
    ids=["noise", "a tone", "silence", "a millisecond"],
)
async def test_no_speech(tmp_path: Path, sound: Sound, code: str):
    with pytest.raises(BadSample) as refused:
        await examine(wav(sound), tmp_path)
    assert refused.value.code == code


async def test_too_short(tmp_path: Path):
    with pytest.raises(BadSample, match="1 s are needed") as refused:
        await examine(wav(sentences()[0][: round(0.7 * RATE)]), tmp_path)
    assert refused.value.code == "too_short"
    short = await examine(wav(sentences()[0][: round(2.2 * RATE)]), tmp_path)
    assert severities(short) == {"short": "info"}


async def test_two_speakers_are_suspected_and_one_is_not(tmp_path: Path):
    low, high = speech("onyx", count=3), speech("shimmer", count=3)
    report = await examine(wav(np.concatenate([low, high])), tmp_path)
    expected = "info" if report.speaker is None else "warning"
    assert severities(report).get("several_speakers") == expected
    for one in (low, high):
        assert "several_speakers" not in severities(await examine(wav(one), tmp_path))


async def test_pitch(tmp_path: Path):
    low = await examine(wav(speech("onyx", count=2)), tmp_path)
    high = await examine(wav(speech("shimmer", count=2)), tmp_path)
    assert low.pitch_hz is not None
    assert high.pitch_hz is not None
    assert low.pitch_hz == pytest.approx(82, rel=0.15)
    assert high.pitch_hz == pytest.approx(247, rel=0.15)
    assert low.voiced_ratio > 0.5
