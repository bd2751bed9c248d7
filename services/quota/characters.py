"""The number of characters that a text counts as."""

from typing import Final

SPOKEN_FREE: Final = 5
"""Number of spoken characters per written one that are free.

A digit is spoken in up to five letters, so written-out numbers, dates and prices rarely exceed this; a
lexicon may.
"""


def booked(written: int, spoken: int) -> int:
    """Return the number of characters that count towards a quota.

    These are the characters of the input, plus the spoken ones beyond :data:`SPOKEN_FREE` times the input.

    Args:
        written: Number of characters of the input.
        spoken: Number of characters of its spoken form, see ``Passage.said``.
    """
    return written + max(0, spoken - SPOKEN_FREE * written)
