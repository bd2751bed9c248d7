"""Conversion of 16-bit samples to floating point."""

from typing import Final

import numpy as np
import numpy.typing as npt

from engines.contract import Pcm

FULL_SCALE: Final = 32_768.0
"""The 16-bit value that corresponds to 1.0."""


def to_signal(pcm: Pcm) -> npt.NDArray[np.float32]:
    """Convert samples to float32 in the range -1 to 1."""
    return pcm.astype(np.float32) / np.float32(FULL_SCALE)
