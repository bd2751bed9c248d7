"""The seam to speaker embedding models."""

import importlib.util
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from services.samples.report import SpeakerEmbedding
from services.samples.speaker import compare, find_speaker_model
from services.samples.speaker_child import MOST, embed

import media
from examining import examine
from speaking import RATE, speech

INSTALLED = all(importlib.util.find_spec(name) is not None for name in ("resemblyzer", "torch"))


class Colour:
    """A model that hears nothing but how bright a sound is."""

    name = "colour 1"

    def __init__(self) -> None:
        self.windows = 0

    def embed(self, pcm: npt.NDArray[np.float32], sample_rate: int) -> npt.NDArray[np.float32]:
        assert pcm.size <= 3 * sample_rate
        self.windows += 1
        angle = np.clip(np.abs(np.diff(pcm)).mean() / (np.abs(pcm).mean() + 1e-9), 0, 1.5)
        return np.array([np.cos(angle), np.sin(angle)], np.float32)


def tone(hertz: float, seconds: float) -> npt.NDArray[np.float32]:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


def test_windows_are_averaged_and_their_spread_is_told():
    one = SpeakerEmbedding.model_validate(embed(Colour(), tone(300, 12), RATE))
    assert one.spread == pytest.approx(0, abs=0.01)
    two = SpeakerEmbedding.model_validate(
        embed(Colour(), np.concatenate([tone(300, 6), tone(4_000, 6)]), RATE)
    )
    assert two.spread is not None
    assert two.spread > 0.3
    assert np.linalg.norm(two.values) == pytest.approx(1, abs=1e-4)
    short = SpeakerEmbedding.model_validate(embed(Colour(), tone(300, 2), RATE))
    assert short.spread is None
    assert compare(one, short) == pytest.approx(1, abs=0.01)


def test_a_long_recording_costs_no_more():
    model = Colour()
    embed(model, tone(300, 300), RATE)
    assert model.windows == MOST


def test_without_the_extra_there_is_no_model():
    assert (find_speaker_model() is not None) == INSTALLED


@pytest.mark.skipif(not INSTALLED, reason="the extra `speaker` is not installed")
async def test_the_model_tells_speakers_apart(tmp_path: Path):
    model = find_speaker_model()
    assert model is not None
    low = await examine(media.wav(media.pcm16(speech("onyx", count=3))), tmp_path)
    with wave.open(str(tmp_path / "canonical.wav")) as file:
        assert file.getframerate() == 24_000
    other = await examine(media.wav(media.pcm16(speech("onyx", count=2))), tmp_path)
    high = await examine(media.wav(media.pcm16(speech("shimmer", count=3))), tmp_path)
    same, different = compare(low.speaker, other.speaker), compare(low.speaker, high.speaker)
    assert same is not None
    assert different is not None
    assert same > different + 0.1
