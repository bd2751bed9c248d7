"""Speech to convert."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from engines.openvoice.base import ToneColour

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono, full scale 1, at 22.05 kHz; shape ``(samples,)``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """An utterance, by itself or as a row of a batch.

    Attributes:
        samples: The speech.
        source: The tone colour it has.
        target: The tone colour it is to have.
        seed: Of the noise that the encoder adds; equal seeds give equal speech.
    """

    samples: Samples
    source: ToneColour
    target: ToneColour
    seed: int = 0
