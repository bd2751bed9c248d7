"""Change of sample rate, by libsoxr. The base install, which only lists voices, is without it."""

from typing import Protocol

import numpy as np

from engines.recordings.spectra import Floats


class Resampling(Protocol):
    """A signal on its way from one rate to another."""

    def resample_chunk(self, x: Floats, last: bool = False) -> Floats:
        """What is ready after ``x``; all of it, when nothing follows."""
        ...


def resampled(signal: Floats, source: float, target: float) -> Floats:
    """A whole signal at another rate."""
    import soxr  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs] - see above; it ships none

    if source == target or not len(signal):
        return signal
    return soxr.resample(signal, source, target, "HQ").astype(np.float32)


def resampling(source: float, target: float) -> Resampling:
    """A signal, piece by piece."""
    import soxr  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs] - see above; it ships none

    return soxr.ResampleStream(source, target, 1, dtype="float32", quality="HQ")
