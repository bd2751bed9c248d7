"""A bounded number of places, taken without waiting."""

from collections.abc import Callable
from typing import Self

from engines.contract import EngineOverloaded


class Places:
    """How many streams one Gateway process serves at once.

    Args:
        limit: Places.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    @property
    def taken(self) -> int:
        """Places in use."""
        return self._taken

    def take(self) -> "Place":
        """Take a place; it is free again when the place is released.

        Raises:
            EngineOverloaded: All places are taken.
        """
        if self._taken >= self._limit:
            raise EngineOverloaded(f"All {self._limit} streams of this server are in use.", retry_after=1.0)
        self._taken += 1
        return Place(self._give_back)

    def _give_back(self) -> None:
        self._taken -= 1


class Place:
    """One taken place. Releases itself at the end of a ``with`` block; releasing again does nothing.

    Args:
        give_back: Called once.
    """

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        """Give the place back."""
        if self._give_back is not None:
            self._give_back()
            self._give_back = None

    def __enter__(self) -> Self:
        """Hold the place."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self.release()
