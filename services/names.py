"""Names like one that was asked for, at a bounded cost."""

import heapq
from collections.abc import Iterable
from difflib import SequenceMatcher
from itertools import islice
from typing import Final

MAX_COMPARED_CHARS: Final = 48
"""Characters of names that are compared: comparing two may take the cube of their length."""

MOST: Final = 200
"""Names that are looked at; the rest are not suggested."""

COMPARED: Final = 10
"""Names that are compared letter by letter: those that share most letters."""


def nearest_names(wanted: str, names: Iterable[str], *, most: int, cutoff: float = 0.6) -> list[str]:
    """The names most like ``wanted``, the best first. It takes 10 ms at the most, whatever the names are.

    Args:
        wanted: As it was asked for; any text of a client's.
        names: Those there are; of many only the first are looked at.
        most: How many, at most.
        cutoff: How alike they must be, 0 to 1, by :meth:`difflib.SequenceMatcher.ratio`.
    """
    if len(wanted) > MAX_COMPARED_CHARS:
        return []
    matcher = SequenceMatcher(b=wanted, autojunk=False)
    alike: list[tuple[float, str]] = []
    for name in islice(names, MOST):
        matcher.set_seq1(name[:MAX_COMPARED_CHARS])
        if matcher.real_quick_ratio() >= cutoff and (likeness := matcher.quick_ratio()) >= cutoff:
            alike.append((likeness, name))
    found: list[tuple[float, str]] = []
    for _, name in heapq.nlargest(COMPARED, alike):
        matcher.set_seq1(name[:MAX_COMPARED_CHARS])
        if (likeness := matcher.ratio()) >= cutoff:
            found.append((likeness, name))
    return [name for _, name in heapq.nlargest(most, found)]
