"""Measurements of a recording, in frames of 32 ms."""

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
"""Number of bands of the mel spectrum."""
_BATCH: Final = 256
"""Number of frames read at once; 8 s."""
_LOUD: Final = 0.1
"""RMS to which loud frames are scaled before speech detection; the model was trained at such levels."""
_MOST: Final = 1_000.0
"""Maximum gain of that scaling, as a factor."""
_PITCH: Final = (65.0, 400.0)
"""Lowest and highest pitch of a voice, in hertz."""
_VOICED: Final = 0.5
"""Normalised autocorrelation at the pitch, above which a frame counts as voiced."""
_MEL: Final = (60.0, 8_000.0)
"""Frequency range of the mel spectrum, in hertz."""

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """The measurements of all frames of a recording.

    Attributes:
        power: Variance of each frame, shape ``(frames,)``.
        peak: Highest level in each frame, shape ``(frames,)``.
        speech: Whether each frame is speech, shape ``(frames,)``.
        mel: Natural logarithm of the power in each band, shape ``(frames, BANDS)``.
        pitch: Pitch of each frame in hertz, shape ``(frames,)``; 0 where it is not voiced speech.
        spectrum: Power of each spectral line, averaged over the frames of speech, shape ``(lines,)``.
        line: Distance between two spectral lines, in hertz.
    """

    power: Samples
    peak: Samples
    speech: Mask
    mel: Samples
    pitch: Samples
    spectrum: _Array
    line: float


def measure(scratch: Scratch, limits: SampleLimits) -> Frames:
    """Measure a recording. An incomplete last frame is ignored."""
    size = limits.frame
    count = scratch.size // size
    power = np.zeros(count, np.float32)
    peak = np.zeros(count, np.float32)
    for start in range(0, count, _BATCH):
        stop = min(start + _BATCH, count)
        frames = scratch.read(start * size, stop * size).reshape(-1, size)
        # Variance rather than mean square: a remaining DC offset does not count.
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
    """Find the pitch of each row by its autocorrelation, in hertz; 0 where it is not voiced."""
    # About 8 kHz suffice for a voice's pitch, and averaging suffices as the filter.
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
    # The first peak that is almost the highest: multiples of the period have peaks too.
    rising = (inside >= fair[:, low - 1 : high]) & (inside >= fair[:, low + 1 : high + 2])
    lags = low + np.argmax(rising & (inside >= 0.9 * best[:, np.newaxis]), axis=1)
    rows = np.arange(len(lags))
    left, centre, right = fair[rows, lags - 1], fair[rows, lags], fair[rows, lags + 1]
    bend = left - 2 * centre + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.minimum(bend, -1e-9), 0)
    voiced = (centre > _VOICED) & (best > _VOICED)
    return np.where(voiced, hertz / (lags + np.clip(shift, -0.5, 0.5)), 0).astype(np.float32)


def _mel_bank(rate: int, size: int) -> _Array:
    """Build the triangular mel filters, shape ``(lines, bands)``."""
    lines = 2_595 * np.log10(1 + np.fft.rfftfreq(size, 1 / rate).astype(np.float64) / 700)
    low, high = (2_595 * math.log10(1 + hertz / 700) for hertz in _MEL)
    corners = np.linspace(low, high, BANDS + 2)
    up = (lines[:, np.newaxis] - corners[:-2]) / (corners[1:-1] - corners[:-2])
    down = (corners[2:] - lines[:, np.newaxis]) / (corners[2:] - corners[1:-1])
    return np.maximum(0, np.minimum(up, down))
