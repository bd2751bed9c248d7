"""How many characters a text is booked with."""

from typing import Final

SPOKEN_FREE: Final = 5
"""Spoken characters for each written one that cost nothing more. A digit is said in up to five letters, so
that written-out numbers, dates and prices are hardly ever beyond it; a lexicon may be."""


def booked(written: int, spoken: int) -> int:
    """The characters that count towards a quota.

    Those of the input; and of what is spoken, each one beyond :data:`SPOKEN_FREE` times the input.

    Args:
        written: Characters of the input.
        spoken: Characters of what is made of it, see ``Passage.said``.
    """
    return written + max(0, spoken - SPOKEN_FREE * written)
