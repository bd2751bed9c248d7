"""Telling whether two recordings are the same take, by their fingerprints."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

_Steps: TypeAlias = npt.NDArray[np.float64]

BANDS: Final = 4
"""Numbers in a step of a fingerprint."""
SAME: Final = 0.85
"""Likeness of two codings of one take; that of different sentences is below 0.7."""

_SHIFTS: Final = 8
"""Steps by which one may begin later: a second."""
_SHARED: Final = 0.6
"""Of the longer one, that both have to cover."""


def likeness(one: Sequence[int], other: Sequence[int]) -> float:
    """How alike two fingerprints are where they fit best, 0 to 1; 0 also where they cannot be compared."""
    first = np.array(one, np.float64).reshape(-1, BANDS)
    second = np.array(other, np.float64).reshape(-1, BANDS)
    if min(len(first), len(second)) < BANDS:
        return 0.0
    # Steps may begin half a step later; then each lies between two.
    return max(_best(first, second), _best((first[1:] + first[:-1]) / 2, second))


def _best(first: _Steps, second: _Steps) -> float:
    least = max(BANDS, _SHARED * max(len(first), len(second)))
    best = 0.0
    for shift in range(-_SHIFTS, _SHIFTS + 1):
        a, b = first[max(0, shift) :], second[max(0, -shift) :]
        count = min(len(a), len(b))
        if count < least:
            continue
        a, b = a[:count] - a[:count].mean(0), b[:count] - b[:count].mean(0)
        length = float(np.sqrt((a**2).sum() * (b**2).sum()))
        best = max(best, float((a * b).sum()) / length if length else 0.0)
    return best
