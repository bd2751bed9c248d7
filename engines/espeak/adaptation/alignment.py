"""Alignment of two recordings by dynamic time warping."""

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from engines.recordings.spectra import Floats

CELLS: Final = 6_000_000
"""Maximum number of pairs compared at once. Longer recordings are aligned roughly, then in pieces."""


def align(one: Floats, other: Floats) -> npt.NDArray[np.intp]:
    """Return the indices of matching frames, in order; shape ``(pairs, 2)``.

    Args:
        one: Features of one recording, shape ``(frames, features)``; scaled so that they weigh equally.
        other: Features of the other recording.
    """
    step = int(np.ceil(np.sqrt(len(one) * len(other) / CELLS)))
    if step <= 1:
        return _warp(one, other)
    rough = _warp(_thinned(one, step), _thinned(other, step)) * step
    pieces = np.linspace(0, len(rough) - 1, step * step + 1).astype(np.intp)
    cuts = np.concatenate([rough[pieces[:-1]], [[len(one), len(other)]]])
    cuts[0] = 0
    return np.concatenate(
        [
            _warp(one[start[0] : end[0]], other[start[1] : end[1]]) + start
            for start, end in pairwise(cuts)
            if (end > start).all()
        ]
    )


def _thinned(rows: Floats, step: int) -> Floats:
    """Return the means of ``step`` consecutive rows each."""
    whole = len(rows) // step * step
    return rows[:whole].reshape(-1, step, rows.shape[1]).mean(axis=1)


def _warp(one: Floats, other: Floats) -> npt.NDArray[np.intp]:
    """Return the pairs on the cheapest path through the distance matrix; computed by antidiagonals."""
    n, m = len(one), len(other)
    squares = np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1)[None]
    distance = np.sqrt(np.maximum(squares - 2 * (one @ other.T), 0))
    came_from = np.zeros((n, m), np.int8)
    before_last = np.full(n + 1, np.inf)
    last = np.full(n + 1, np.inf)
    for diagonal in range(n + m - 1):
        i = np.arange(max(0, diagonal - m + 1), min(n - 1, diagonal) + 1)
        j = diagonal - i
        costs = np.stack([before_last[i], last[i], last[i + 1]])
        if diagonal == 0:
            costs[0, 0] = 0.0
        choice = costs.argmin(axis=0)
        current = np.full(n + 1, np.inf)
        current[i + 1] = distance[i, j] + costs[choice, np.arange(len(i))]
        came_from[i, j] = choice
        before_last, last = last, current
    return _path(came_from)


def _path(came_from: npt.NDArray[np.int8]) -> npt.NDArray[np.intp]:
    i, j = came_from.shape[0] - 1, came_from.shape[1] - 1
    pairs = [(i, j)]
    while i or j:
        step = came_from[i, j]
        i, j = i - int(step != 2), j - int(step != 1)  # noqa: PLR2004 - 0 both, 1 the first, 2 the second
        pairs.append((i, j))
    return np.array(pairs[::-1], np.intp)
