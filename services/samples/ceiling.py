"""Detection of clipping by the pile-up of samples at the highest level.

Finds it also in a recording that was made quieter later, but not after lossy coding.
"""

from typing import Final

import numpy as np

from services.samples.scratch import Samples

_BINS: Final = 4_000
_TOP: Final = 2.0
"""Upper end of the histogram, relative to full scale; louder samples are counted in the last bin.

Lossy codings decode to levels above 1.
"""
_OUTLIERS: Final = 2e-5
"""Share of the samples above the ceiling: a single knock does not raise it."""
_NEAR: Final = 0.93
"""Fraction of the ceiling above which a sample counts as being at the ceiling."""
_LEVELS: Final = 30


class Ceiling:
    """Level histogram of a signal that arrives in blocks."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._sum = 0.0
        self._size = 0
        self.peak = 0.0
        """Highest level, relative to full scale."""

    def feed(self, samples: Samples) -> None:
        """Add the next samples."""
        if not samples.size:
            return
        levels = np.abs(samples)
        self.peak = max(self.peak, float(levels.max()))
        bins = np.minimum((levels * (_BINS / _TOP)).astype(np.int32), _BINS - 1)
        self._counts += np.bincount(bins, minlength=_BINS)
        self._sum += float(samples.sum(dtype=np.float64))
        self._size += samples.size

    @property
    def mean(self) -> float:
        """Mean of all samples: the DC offset."""
        return self._sum / self._size if self._size else 0.0

    @property
    def pile(self) -> float:
        """Share of the loud samples that are at the ceiling: below 0.03 for speech, 0.1 to 0.8 if clipped."""
        above = np.cumsum(self._counts[::-1])[::-1]
        if not above[0]:
            return 0.0
        ceiling = int(np.flatnonzero(above > _OUTLIERS * above[0])[-1])
        # With fewer levels, samples near the ceiling cannot be told from those half as loud.
        return float(above[int(ceiling * _NEAR)] / above[ceiling // 2]) if ceiling > _LEVELS else 0.0
