"""How long a text may become on its way to being spoken."""

from engines.text.errors import TextError


class Room:
    """What one step of the front end may give for all of a text.

    Args:
        limit: Characters.
    """

    __slots__ = ("_left", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit

    def take(self, count: int) -> None:
        """Make a text longer by ``count`` characters.

        Raises:
            TextError: It would be longer than it may be.
        """
        self._left -= count
        if self._left < 0:
            message = (
                f"The text would be more than {self._limit} characters when it is spoken: a lexicon, markup or "
                "written-out numbers make it that long."
            )
            raise TextError(message, code="spoken_text_too_long")
