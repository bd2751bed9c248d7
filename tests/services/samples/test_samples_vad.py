"""The network gives what the original gives, and finds speech."""

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soxr

from services.samples.vad import FRAME, RATE, Silero, runs, speech_mask

from speaking import speech

SHARED = Path(__file__).parents[4] / "shared" / "audio"


def hum() -> npt.NDArray[np.float32]:
    """Two seconds of a voiced sound in syllables, the same on every machine."""
    t = np.arange(RATE * 2) / RATE
    phase = 2 * np.pi * (120 * t - 3 * np.cos(np.pi * t))
    tone = sum(np.sin(k * phase) / (1 + abs(k * 120 - 600) / 300) for k in range(1, 30))
    return (tone * np.clip(np.sin(6 * np.pi * t), 0, 1) * 0.05).astype(np.float32)[: 62 * FRAME]


def test_the_probabilities_are_those_of_the_original():
    # By onnxruntime 1.32 from silero_vad.onnx of silero-vad 6.2.3.
    expected = [0.0993, 0.0049, 0.0073, 0.023, 0.0046, 0.0571, 0.0013, 0.0045, 0.0088]
    expected += [0.0047, 0.0059, 0.0026, 0.003, 0.0407, 0.005, 0.0036]
    np.testing.assert_allclose(Silero().feed(hum())[::4], expected, atol=1e-4)


def test_it_does_not_matter_how_the_signal_is_cut():
    sound = hum()
    whole = Silero().feed(sound)
    model = Silero()
    pieces = [
        model.feed(sound[: 7 * FRAME]),
        model.feed(sound[7 * FRAME : 8 * FRAME]),
        model.feed(sound[8 * FRAME :]),
    ]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6)


@pytest.mark.parametrize("snr", [None, 10.0])
def test_speech_is_found(snr: float | None):
    sound = soxr.resample(speech(count=3, pause=1.0), 24_000, RATE)
    sound = sound[: sound.size // FRAME * FRAME]
    power = (sound.reshape(-1, FRAME) ** 2).mean(1)
    loud = power > np.percentile(power, 95) * 10**-3.5
    if snr is not None:
        noise = np.random.default_rng(2).normal(
            0, np.sqrt(power[loud].mean()) * 10 ** (-snr / 20), sound.size
        )
        sound = (sound + noise).astype(np.float32)
    found = speech_mask(Silero().feed(sound))
    assert (found & loud).sum() / loud.sum() > 0.9
    assert (found & loud).sum() / found.sum() > 0.85
    # The pauses of a second are found too.
    assert len([1 for start, stop in runs(~found) if stop - start > 20]) == 4


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings are not here")
def test_a_recording_gives_what_the_original_gives():
    expected = [0.1194, 0.7953, 0.9621, 0.9574, 0.9492, 0.9753, 0.9976, 0.9965]
    expected += [0.9996, 0.9999, 1.0, 1.0, 1.0, 1.0, 0.9999]
    with wave.open(str(SHARED / "LJ001-0002.wav")) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32_768
    sound = soxr.resample(pcm, 22_050, RATE)
    found = Silero().feed(sound[: sound.size // FRAME * FRAME])
    np.testing.assert_allclose(np.concatenate([found[:4], found[4::5]]), expected, atol=1e-3)


def test_clicks_and_gaps_are_evened_out():
    probabilities = np.array(
        [0, 0.9, 0.9, 0, 0, 0, 0, 0] + [0.9] * 6 + [0.1] * 2 + [0.9] * 3 + [0.4, 0.3], np.float32
    )
    assert runs(speech_mask(probabilities)) == [(8, 20)]
