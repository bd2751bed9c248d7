"""Streaming sample-rate conversion by libsoxr."""

from typing import Final

import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs] - it ships none

from engines.contract import Pcm

QUALITY: Final = "HQ"
"""20 bits: aliases stay below the sixteenth bit."""


class Resampler:
    """One signal from one rate to another, continuous between its pieces.

    In floating point, because soxr's own 16-bit output is dithered: silence would not stay silent, and the
    result would depend on how the signal was cut.

    Args:
        source_rate: Hertz of the input.
        target_rate: Hertz of the output.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._stream = soxr.ResampleStream(source_rate, target_rate, 1, dtype="float32", quality=QUALITY)

    def feed(self, pcm: Pcm) -> Pcm:
        """The resampled samples that are ready."""
        return self._resample(pcm, last=False)

    def finish(self) -> Pcm:
        """The remaining samples; nothing can be fed afterwards."""
        return self._resample(np.zeros(0, np.int16), last=True)

    def _resample(self, pcm: Pcm, *, last: bool) -> Pcm:
        resampled = self._stream.resample_chunk(pcm.astype(np.float32), last=last)
        return np.rint(np.clip(resampled, -32_768, 32_767)).astype(np.int16)
