"""Nearest-neighbour search by brute force: matrix products are fast enough."""

from typing import Final

import numpy as np

from engines.recordings.spectra import Floats

NEAREST: Final = 4
_BLOCK: Final = 256
"""Maximum number of frames looked up at once, to limit memory."""


class Neighbours:
    """Regression by nearest neighbours: frames get the weighted mean of the nearest known values.

    Args:
        places: Features of the known frames, shape ``(frames, features)``.
        values: Their values, shape ``(frames, values)``.
    """

    def __init__(self, places: Floats, values: Floats) -> None:
        self._places = places
        self._values = values
        self._squares = np.square(places).sum(axis=1)
        self._count = min(NEAREST, len(places))

    def mean(self, wanted: Floats) -> Floats:
        """Return values for features ``wanted``, shape ``(frames, features)``; nearer frames weigh more."""
        blocks = [self._block(wanted[i : i + _BLOCK]) for i in range(0, len(wanted), _BLOCK)]
        return np.concatenate(blocks) if blocks else np.zeros((0, self._values.shape[1]), np.float32)

    def _block(self, wanted: Floats) -> Floats:
        # the square of the wanted frame is constant, so it is added to the nearest only
        partial = self._squares - 2 * (wanted @ self._places.T)
        nearest = np.argpartition(partial, self._count - 1, axis=1)[:, : self._count]
        squares = np.take_along_axis(partial, nearest, 1) + np.square(wanted).sum(axis=1, keepdims=True)
        squares = np.maximum(squares, 0) + np.float32(1e-6)
        weights = np.exp(-0.5 * squares / squares.min(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        return np.einsum("fn,fnv->fv", weights, self._values[nearest])
