"""16-bit samples as floating point."""

from typing import Final

import numpy as np
import numpy.typing as npt

from engines.contract import Pcm

FULL_SCALE: Final = 32_768.0
"""The 16-bit sample value of a signal of 1.0."""


def to_signal(pcm: Pcm) -> npt.NDArray[np.float32]:
    """Samples as floating point within -1 and 1."""
    return pcm.astype(np.float32) / np.float32(FULL_SCALE)
