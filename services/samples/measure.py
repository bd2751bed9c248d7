"""What is measured of a recording, on a grid of 32 ms."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import soxr  # pyright: ignore[reportMissingTypeStubs] - it ships none

from services.samples.limits import SampleLimits
from services.samples.scratch import Samples, Scratch
from services.samples.vad import FRAME, RATE, Mask, Silero, speech_mask

BANDS: Final = 24
"""Of the mel spectrum."""
_BATCH: Final = 256
"""Frames read at once; 8 s."""
_LOUD: Final = 0.1
"""RMS to which the loud frames are brought before speech is looked for; the model was trained on such."""
_MOST: Final = 1_000.0
"""Times, at most."""
_PITCH: Final = (65.0, 400.0)
"""Hertz of a voice, from and to."""
_VOICED: Final = 0.5
"""Of the autocorrelation at the pitch, from which a frame counts as voiced."""
_MEL: Final = (60.0, 8_000.0)
"""Hertz, from and to."""

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """The measures of all frames of a recording.

    Attributes:
        power: Mean square of each, about its mean.
        peak: Highest level in each.
        speech: Which are speech.
        mel: Log power in :data:`BANDS` bands, of each.
        pitch: Hertz of each; 0 where it is not voiced.
        spectrum: Mean power over the frames of speech, one for each line.
        line: Hertz between two lines.
    """

    power: Samples
    peak: Samples
    speech: Mask
    mel: Samples
    pitch: Samples
    spectrum: _Array
    line: float


def measure(scratch: Scratch, limits: SampleLimits) -> Frames:
    """Measure a recording. A last frame that is not full is left out."""
    size = limits.frame
    count = scratch.size // size
    power = np.zeros(count, np.float32)
    peak = np.zeros(count, np.float32)
    for start in range(0, count, _BATCH):
        stop = min(start + _BATCH, count)
        frames = scratch.read(start * size, stop * size).reshape(-1, size)
        # The variance: silence is silent whatever direct current remains.
        power[start:stop] = frames.var(1)
        peak[start:stop] = np.abs(frames).max(1)
    speech = _find_speech(scratch, count, power, limits)
    mel = np.zeros((count, BANDS), np.float32)
    pitch = np.zeros(count, np.float32)
    spectrum = np.zeros(size // 2 + 1)
    window = np.hanning(size).astype(np.float32)
    bank = _mel_bank(limits.sample_rate, size)
    for start in range(0, count, _BATCH):
        stop = min(start + _BATCH, count)
        # Pitch is measured on two frames.
        samples = scratch.read(start * size, min((stop + 1) * size, scratch.size))
        samples = np.pad(samples, (0, (stop - start + 1) * size - samples.size))
        lines = np.abs(np.fft.rfft(samples[: (stop - start) * size].reshape(-1, size) * window)) ** 2
        mel[start:stop] = np.log(lines @ bank + 1e-9)
        here = speech[start:stop]
        spectrum += lines[here].sum(0)
        if here.any():
            doubles = np.lib.stride_tricks.sliding_window_view(samples, 2 * size)[::size][here]
            pitch[start:stop][here] = _pitch(doubles, limits.sample_rate)
    return Frames(power, peak, speech, mel, pitch, spectrum / max(1, speech.sum()), limits.sample_rate / size)


def _find_speech(scratch: Scratch, count: int, power: Samples, limits: SampleLimits) -> Mask:
    if not count:
        return np.zeros(0, np.bool_)
    loud = float(np.sqrt(np.percentile(power, 95)))
    gain = np.float32(min(_MOST, _LOUD / max(loud, 1e-9)))
    model = Silero()
    stream = soxr.ResampleStream(limits.sample_rate, RATE, 1, dtype="float32", quality="HQ")
    held = np.zeros(0, np.float32)
    found: list[Samples] = []
    for start in range(0, count, _BATCH):
        samples = scratch.read(start * limits.frame, min(start + _BATCH, count) * limits.frame) * gain
        resampled = stream.resample_chunk(samples, last=start + _BATCH >= count)
        held = np.concatenate([held, np.clip(resampled, -1, 1)])
        whole = held.size // FRAME * FRAME
        found.append(model.feed(held[:whole]))
        held = held[whole:]
    probabilities = np.concatenate(found)[:count]
    # Resampling may round the last frame away.
    return speech_mask(np.pad(probabilities, (0, count - probabilities.size)))


def _pitch(frames: Samples, rate: int) -> Samples:
    """Hertz of each row, by its autocorrelation; 0 where it is not voiced."""
    # Every third sample will do for a voice's pitch; the mean of three is filter enough.
    factor = rate // 8_000
    size = frames.shape[1] // factor
    thin = frames[:, : size * factor].reshape(frames.shape[0], size, factor).mean(2)
    thin = thin - thin.mean(1, keepdims=True)
    hertz = rate / factor
    low, high = int(hertz / _PITCH[1]), int(hertz / _PITCH[0])
    correlation = np.fft.irfft(np.abs(np.fft.rfft(thin, 2 * size)) ** 2)[:, : high + 2]
    fair = correlation / np.maximum(correlation[:, :1], 1e-12) * (size / (size - np.arange(high + 2)))
    inside = fair[:, low : high + 1]
    best = inside.max(1)
    # The first peak that is almost as high: multiples of the period are as good, and wrong.
    rising = (inside >= fair[:, low - 1 : high]) & (inside >= fair[:, low + 1 : high + 2])
    lags = low + np.argmax(rising & (inside >= 0.9 * best[:, np.newaxis]), axis=1)
    rows = np.arange(len(lags))
    left, centre, right = fair[rows, lags - 1], fair[rows, lags], fair[rows, lags + 1]
    bend = left - 2 * centre + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.minimum(bend, -1e-9), 0)
    voiced = (centre > _VOICED) & (best > _VOICED)
    return np.where(voiced, hertz / (lags + np.clip(shift, -0.5, 0.5)), 0).astype(np.float32)


def _mel_bank(rate: int, size: int) -> _Array:
    """Triangles over the lines of a spectrum, shape (lines, bands)."""
    lines = 2_595 * np.log10(1 + np.fft.rfftfreq(size, 1 / rate).astype(np.float64) / 700)
    low, high = (2_595 * math.log10(1 + hertz / 700) for hertz in _MEL)
    corners = np.linspace(low, high, BANDS + 2)
    up = (lines[:, np.newaxis] - corners[:-2]) / (corners[1:-1] - corners[:-2])
    down = (corners[2:] - lines[:, np.newaxis]) / (corners[2:] - corners[1:-1])
    return np.maximum(0, np.minimum(up, down))
