"""Streaming sample-rate conversion with libsoxr."""

from typing import Final

import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs] - it ships none

from engines.contract import Pcm

QUALITY: Final = "HQ"
"""libsoxr's quality with 20 bits of precision: aliasing remains below the 16th bit."""


class Resampler:
    """Converts one signal to another sample rate, without discontinuities between its pieces.

    Computes in floating point, because soxr's 16-bit output is dithered: silence would not remain silent, and
    the result would depend on the size of the pieces.

    Args:
        source_rate: Sample rate of the input in hertz.
        target_rate: Sample rate of the output in hertz.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._stream = soxr.ResampleStream(source_rate, target_rate, 1, dtype="float32", quality=QUALITY)

    def feed(self, pcm: Pcm) -> Pcm:
        """Process samples; return the resampled ones that are ready."""
        return self._resample(pcm, last=False)

    def finish(self) -> Pcm:
        """Return the remaining samples; nothing can be fed afterwards."""
        return self._resample(np.zeros(0, np.int16), last=True)

    def _resample(self, pcm: Pcm, *, last: bool) -> Pcm:
        resampled = self._stream.resample_chunk(pcm.astype(np.float32), last=last)
        return np.rint(np.clip(resampled, -32_768, 32_767)).astype(np.int16)
