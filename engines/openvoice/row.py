"""Speech to convert."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from engines.openvoice.base import ToneColour

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono audio at 22.05 kHz, full scale 1; shape ``(samples,)``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """Speech to convert, as a row of a batch.

    Attributes:
        samples: The speech.
        source: Its tone colour.
        target: The tone colour to convert it to.
        seed: Seed of the noise that the encoder adds; equal seeds give equal speech.
    """

    samples: Samples
    source: ToneColour
    target: ToneColour
    seed: int = 0
