"""The number of characters that a text counts as."""

from typing import Final

SPOKEN_FREE: Final = 5
"""Spoken characters per written one that are free. A digit is spoken in up to five letters, so
that written-out numbers, dates and prices are hardly ever beyond it; a lexicon may be."""


def booked(written: int, spoken: int) -> int:
    """The characters that count towards a quota.

    Those of the input, plus spoken ones beyond :data:`SPOKEN_FREE` times the input.

    Args:
        written: Characters of the input.
        spoken: Characters of its spoken form, see ``Passage.said``.
    """
    return written + max(0, spoken - SPOKEN_FREE * written)
