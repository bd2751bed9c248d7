"""Clipping that was not coded again, as the pile of samples at the highest level.

So it is seen also in a recording that was made quieter later.
"""

from typing import Final

import numpy as np

from services.samples.scratch import Samples

_BINS: Final = 4_000
_TOP: Final = 2.0
"""Times full scale; what is louder counts as this loud. Lossy codings go above 1."""
_OUTLIERS: Final = 2e-5
"""Share of samples above what counts as the ceiling: a single knock is none."""
_NEAR: Final = 0.93
"""Of the ceiling, from where on a sample is at it."""
_LEVELS: Final = 30


class Ceiling:
    """Counts the levels of a signal that comes in pieces."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._sum = 0.0
        self._size = 0
        self.peak = 0.0
        """Times full scale."""

    def feed(self, samples: Samples) -> None:
        """Take the next samples."""
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
        """Of all samples: the direct current of a bad input."""
        return self._sum / self._size if self._size else 0.0

    @property
    def pile(self) -> float:
        """Share of the loud samples that are at the ceiling; below 0.03 for speech, 0.1 to 0.8 if clipped."""
        above = np.cumsum(self._counts[::-1])[::-1]
        if not above[0]:
            return 0.0
        ceiling = int(np.flatnonzero(above > _OUTLIERS * above[0])[-1])
        # With fewer levels than this, what is near is not told from what is half as loud.
        return float(above[int(ceiling * _NEAR)] / above[ceiling // 2]) if ceiling > _LEVELS else 0.0
