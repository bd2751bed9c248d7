"""A limit for the length of texts in the front end."""

from engines.text.errors import TextError


class Room:
    """The budget of one step of the front end, for a whole text.

    Args:
        limit: Maximum number of characters.
    """

    __slots__ = ("_left", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit

    def take(self, count: int) -> None:
        """Use ``count`` characters of the budget.

        Raises:
            TextError: The budget is exceeded.
        """
        self._left -= count
        if self._left < 0:
            message = (
                f"The text would be more than {self._limit} characters when it is spoken: a lexicon, markup or "
                "written-out numbers make it that long."
            )
            raise TextError(message, code="spoken_text_too_long")
