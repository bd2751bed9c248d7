"""Comparison of a precision with fp32, on the loaded weights."""

from typing import Final

import numpy as np
import torch

from engines.fidelity import decibels
from engines.openvoice.base import SAMPLE_RATE
from engines.openvoice.conversion import Converter
from engines.openvoice.row import Row, Samples

SECONDS: Final = 0.6
"""Seconds of audio that are converted, which takes 0.1 s in fp32."""


def fidelity(converter: Converter, exact: Converter) -> float:
    """Compute the signal-to-noise ratio of ``converter`` in dB, with the signal converted by ``exact``."""
    low, high = _buzz(110.0), _buzz(220.0)
    row = Row(samples=low, source=exact.embed(low), target=exact.embed(high))
    (signal,), (found,) = exact.convert([row]), converter.convert([row])
    return decibels(torch.as_tensor(signal), torch.as_tensor(found))


def _buzz(hertz: float) -> Samples:
    """Generate a buzz with varying pitch, harmonics and syllables."""
    time = np.arange(int(SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * hertz * (time + 0.02 * np.sin(2 * np.pi * 2 * time))
    wave = sum(np.sin(number * phase) / number for number in range(1, 12))
    return (0.2 * wave * np.sin(2 * np.pi * 3 * time) ** 2).astype(np.float32)
