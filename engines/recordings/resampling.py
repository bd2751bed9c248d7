"""Sample-rate conversion by libsoxr, which the base installation, which only lists voices, lacks."""

from typing import Protocol

import numpy as np

from engines.recordings.spectra import Floats


class Resampling(Protocol):
    """A streaming sample-rate conversion."""

    def resample_chunk(self, x: Floats, last: bool = False) -> Floats:
        """The output that is ready after ``x``; all of it at the end."""
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
