"""Nearest-neighbour search by brute force: matrix products are fast enough."""

from typing import Final

import numpy as np

from engines.recordings.spectra import Floats

NEAREST: Final = 4
_BLOCK: Final = 256
"""Frames looked up at once, which bounds the memory."""


class Neighbours:
    """Frames with known values; others get the mean of the values of the nearest.

    Args:
        places: Features, shape ``(frames, features)``.
        values: Shape ``(frames, values)``.
    """

    def __init__(self, places: Floats, values: Floats) -> None:
        self._places = places
        self._values = values
        self._squares = np.square(places).sum(axis=1)
        self._count = min(NEAREST, len(places))

    def mean(self, wanted: Floats) -> Floats:
        """Values for ``wanted``, shape ``(frames, features)``: nearer ones weigh more."""
        blocks = [self._block(wanted[i : i + _BLOCK]) for i in range(0, len(wanted), _BLOCK)]
        return np.concatenate(blocks) if blocks else np.zeros((0, self._values.shape[1]), np.float32)

    def _block(self, wanted: Floats) -> Floats:
        # the square of a wanted frame itself is the same for all, so it is added to the nearest alone
        partial = self._squares - 2 * (wanted @ self._places.T)
        nearest = np.argpartition(partial, self._count - 1, axis=1)[:, : self._count]
        squares = np.take_along_axis(partial, nearest, 1) + np.square(wanted).sum(axis=1, keepdims=True)
        squares = np.maximum(squares, 0) + np.float32(1e-6)
        weights = np.exp(-0.5 * squares / squares.min(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        return np.einsum("fn,fnv->fv", weights, self._values[nearest])
