"""Pitch detection of speech by autocorrelation."""

from typing import Final

import numpy as np
import numpy.typing as npt

LOWEST: Final = 60.0
HIGHEST: Final = 450.0
_HEARD: Final = 2_000.0
"""Bandwidth in hertz of the signal that is autocorrelated."""
_CLEAR: Final = 0.55
"""Minimum correlation, relative to a perfectly periodic frame, of a voiced frame."""
_LIKELY: Final = 0.45
"""Minimum correlation of a frame whose surroundings are voiced."""
_PER_OCTAVE: Final = 0.02
"""Penalty of a lag per octave, so that two periods are not mistaken for one."""
AROUND: Final = 4
"""Number of frames on either side with which a pitch is compared."""
_LEAP: Final = 0.35
"""Distance in octaves from the surrounding pitch beyond which a pitch is considered wrong."""


def track(
    frames: npt.NDArray[np.float32], rate: float, low: float = LOWEST, high: float = HIGHEST
) -> npt.NDArray[np.float32]:
    """Return the pitch of each frame in hertz, shape ``(frames,)``; 0 for unvoiced frames.

    Args:
        frames: Overlapping frames, shape ``(frames, samples)``, with an even number of samples.
        rate: Sample rate in hertz.
        low: Lowest pitch to detect, in hertz.
        high: Highest pitch to detect, in hertz.
    """
    if not len(frames):
        return np.zeros(0, np.float32)
    halved, rate = frames[:, ::2] + frames[:, 1::2], rate / 2  # half the sample rate suffices
    window = np.hanning(halved.shape[1]).astype(np.float32)
    centred = (halved - halved.mean(axis=1, keepdims=True)) * window
    heard = int(_HEARD / rate * 2 * len(window))
    correlation = _autocorrelation(centred, heard)
    own = _autocorrelation(window[None], heard)[0]
    correlation /= correlation[:, :1] + np.float32(1e-9)
    first, last = int(rate / high), int(rate / low)
    lags = np.arange(first, last)
    fit = correlation[:, first:last] / np.maximum(own[first:last] / own[0], 0.05)
    fit -= (_PER_OCTAVE * np.log2(lags / first)).astype(np.float32)
    best = fit.argmax(axis=1)
    clarity = np.take_along_axis(fit, best[:, None], 1)[:, 0]
    found = rate / (first + best + _offset(fit, best))
    return _plausible(np.where(clarity > _CLEAR, found, 0.0), clarity).astype(np.float32)


def _autocorrelation(frames: npt.NDArray[np.float32], heard: int) -> npt.NDArray[np.float32]:
    """Return the autocorrelation of frames, without frequencies from bin ``heard`` on."""
    size = frames.shape[1]
    spectra = np.fft.rfft(frames, 2 * size, axis=1)
    power = np.square(spectra.real) + np.square(spectra.imag)
    power[:, heard:] = 0
    return np.fft.irfft(power, axis=1)[:, :size].astype(np.float32, copy=False)


def _offset(fit: npt.NDArray[np.float32], best: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
    """Return the maximum's offset in samples, by parabolic interpolation."""
    middle = np.clip(best, 1, fit.shape[1] - 2)
    left, top, right = (np.take_along_axis(fit, (middle + i)[:, None], 1)[:, 0] for i in (-1, 0, 1))
    curve = left - 2 * top + right
    offset = np.where(curve < 0, 0.5 * (left - right) / np.minimum(curve, -1e-9), 0.0)
    return np.clip(np.where(middle == best, offset, 0.0), -0.5, 0.5)


def _plausible(pitch: npt.NDArray[np.floating], clarity: npt.NDArray[np.float32]) -> npt.NDArray[np.floating]:
    """Replace outliers and gaps by the median of their surroundings."""
    padded = np.pad(pitch, AROUND)
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND + 1), axis=1)
    both = (around > 0) & (pitch > 0)
    leap = np.abs(np.log2(np.where(both, pitch, 1.0) / np.where(both, around, 1.0)))
    return np.where(both & (leap < _LEAP), pitch, np.where(clarity > _LIKELY, around, 0.0))


def summary(pitch: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Return the median and the spread of the log pitch of voiced frames, without octave errors.

    The spread is the median absolute deviation, scaled to equal the standard deviation of a normal
    distribution.
    """
    logs = np.log(pitch[pitch > 0])
    logs = logs[np.abs(logs - np.median(logs)) < np.log(2) * 0.8]
    middle = float(np.median(logs))
    return middle, 1.4826 * float(np.median(np.abs(logs - middle)))
