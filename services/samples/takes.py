"""Comparison of fingerprints, to find recordings of the same take."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

_Steps: TypeAlias = npt.NDArray[np.float64]

BANDS: Final = 4
"""Number of values in a step of a fingerprint."""
SAME: Final = 0.85
"""Minimum likeness of two codings of one take; that of different sentences is below 0.7."""

_SHIFTS: Final = 8
"""Maximum offset between two fingerprints, in steps: a second."""
_SHARED: Final = 0.6
"""Fraction of the longer fingerprint that must overlap with the other."""


def likeness(one: Sequence[int], other: Sequence[int]) -> float:
    """Return the similarity of two fingerprints at their best alignment, 0 to 1; 0 if they are too short."""
    first = np.array(one, np.float64).reshape(-1, BANDS)
    second = np.array(other, np.float64).reshape(-1, BANDS)
    if min(len(first), len(second)) < BANDS:
        return 0.0
    # The takes may be offset by half a step; then compare with the means of adjacent steps.
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
