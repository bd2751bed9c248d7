"""Sample-rate conversion with libsoxr, imported on use since the base installation lacks it."""

from typing import Protocol

import numpy as np

from engines.recordings.spectra import Floats


class Resampling(Protocol):
    """A streaming sample-rate conversion."""

    def resample_chunk(self, x: Floats, last: bool = False) -> Floats:
        """Process samples; return the output that is ready, or with ``last`` all of it."""
        ...


def resampled(signal: Floats, source: float, target: float) -> Floats:
    """Return a complete signal, shape ``(samples,)``, at another sample rate; rates in hertz."""
    import soxr  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs] - see above; it ships none

    if source == target or not len(signal):
        return signal
    return soxr.resample(signal, source, target, "HQ").astype(np.float32)


def resampling(source: float, target: float) -> Resampling:
    """Return a streaming conversion between two sample rates in hertz."""
    import soxr  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs] - see above; it ships none

    return soxr.ResampleStream(source, target, 1, dtype="float32", quality="HQ")
