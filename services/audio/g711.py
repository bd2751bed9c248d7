"""µ-law and A-law by lookup tables, after ITU-T Recommendation G.711 (11/1988).

The Recommendation lists the 128 output values of each sign and, midway between them, the decision values
(tables 1a to 2b). A sample is encoded as the interval that contains it, at a resolution of 14 bits.
"""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from engines.contract import Pcm
from services.audio.codings import Law

_INVERTED: Final[dict[Law, int]] = {"ulaw": 0xFF, "alaw": 0xD5}
"""Inverted bits in the code of a positive sample; for a negative one, the same except the sign bit."""
_SIGN: Final = 0x80


def encode(pcm: Pcm, law: Law) -> bytes:
    """Compress samples to one byte each.

    Args:
        pcm: The samples.
        law: ``ulaw`` or ``alaw``.
    """
    return _table(law)[np.ascontiguousarray(pcm).view(np.uint16)].tobytes()


def _output_values(law: Law) -> npt.NDArray[np.int64]:
    """Return the magnitudes of the 128 codes, on the scale of 16 bits."""
    code = np.arange(128)
    segment, step = code >> 4, code & 0x0F
    if law == "ulaw":
        return (((2 * step + 33) << segment) - 33) << 2
    return np.where(segment == 0, 2 * step + 1, (2 * step + 33) << np.maximum(segment - 1, 0)) << 3


@cache
def _table(law: Law) -> npt.NDArray[np.uint8]:
    """Return the codes of all 65,536 samples, indexed by the sample reinterpreted as unsigned."""
    values = _output_values(law)
    decisions = (values[:-1] + values[1:] + 4) >> 3  # midway, rounded to 14 bits
    sample = np.arange(65_536).astype(np.uint16).view(np.int16).astype(np.int64) >> 2
    code = np.searchsorted(decisions, np.abs(sample), side="right")
    positive = _INVERTED[law]
    return (code ^ np.where(sample < 0, positive ^ _SIGN, positive)).astype(np.uint8)
