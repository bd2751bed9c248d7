"""Loudness after ITU-R BS.1770-4, for one channel.

The filter (K-weighting) is applied to the spectrum of each block instead of to the samples: numpy has no
recursive filters, and on blocks of 400 ms the difference is below 0.1 LU.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from services.samples.scratch import Samples

SILENT: Final = -70.0
"""Absolute gate, in LUFS; the lowest loudness that is reported."""

_RELATIVE: Final = -10.0
"""Relative gate, in LU from the mean."""
_OFFSET: Final = -0.691
"""Offset in LU, by which a full-scale sine of 997 Hz is at -3.01 LUFS."""
_STEP_SECONDS: Final = 0.1
"""Seconds from the start of a block to the next; a block is four steps long."""
_OVERLAP: Final = 4
_FILTER_RATE: Final = 48_000
"""Sample rate of the standard's filter coefficients (numerator, denominator), in hertz."""
_SHELF: Final = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
_HIGHPASS: Final = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))


class LoudnessMeter:
    """Integrated loudness of a signal that arrives in blocks.

    Args:
        sample_rate: In hertz, at most 48,000.
    """

    def __init__(self, sample_rate: int) -> None:
        self._step = round(sample_rate * _STEP_SECONDS)
        self._block = self._step * _OVERLAP
        self._weights = _weights(self._block, sample_rate)
        self._held: Samples = np.zeros(0, np.float32)
        self._powers: list[npt.NDArray[np.float64]] = []

    def feed(self, samples: Samples) -> None:
        """Add the next samples."""
        held = np.concatenate([self._held, samples])
        if held.size >= self._block:
            blocks = np.lib.stride_tricks.sliding_window_view(held, self._block)[:: self._step]
            # Sixteen at a time: their spectra are five times their size.
            for start in range(0, len(blocks), 16):
                self._powers.append(self._power(blocks[start : start + 16]))
            held = held[len(blocks) * self._step :]
        self._held = held.copy()

    def integrated(self) -> float:
        """Return the integrated loudness in LUFS; at least :data:`SILENT`.

        Less than 400 ms of signal are measured as one block.
        """
        if self._powers:
            powers = np.concatenate(self._powers)
        elif self._held.size:
            padded = np.pad(self._held, (0, self._block - self._held.size))
            powers = self._power(padded[np.newaxis]) * (self._block / self._held.size)
        else:
            return SILENT
        loud = powers[_lufs(powers) > SILENT]
        if not loud.size:
            return SILENT
        gate = _lufs(loud.mean(keepdims=True))[0] + _RELATIVE
        return max(SILENT, float(_lufs(loud[_lufs(loud) > gate].mean(keepdims=True))[0]))

    def _power(self, blocks: Samples) -> npt.NDArray[np.float64]:
        return (np.abs(np.fft.rfft(blocks)) ** 2) @ self._weights


def decibels(ratio: float) -> float:
    """Convert an amplitude ratio to decibels, at least -200."""
    return 20 * math.log10(max(ratio, 1e-10))


def _lufs(powers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return _OFFSET + 10 * np.log10(np.maximum(powers, 1e-12))


def _weights(block: int, rate: int) -> npt.NDArray[np.float64]:
    """Compute the contribution of each spectral line's squared magnitude to a block's mean power."""
    delay = np.exp(-2j * np.pi * np.fft.rfftfreq(block, 1 / rate) / _FILTER_RATE)
    gain = np.ones(delay.size)
    for numerator, denominator in (_SHELF, _HIGHPASS):
        gain *= np.abs(np.polyval(numerator[::-1], delay) / np.polyval(denominator[::-1], delay)) ** 2
    # The real spectrum has only half of the lines: all but the first and the last count twice.
    gain[1 : -1 if block % 2 == 0 else None] *= 2
    return gain / block**2
