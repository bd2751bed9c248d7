"""Aligns the phonemes of a clause with its words.

In a clause words weaken and run together (``of the`` is said ``ʌvðə``), and numbers become several. Each
word's pronunciation by itself determines its part, by the edit distance between the two.
"""

import itertools
from collections.abc import Sequence
from typing import Final

from engines.kokoro.pronunciation.phonemes import SPACE, bare, is_vowel

CELLS: Final = 200_000
"""A text of 400 characters without a comma needs some 160,000 at the most."""
_CHANGE, _DROP, _ADD = 0, 1, 2
_MISSING: Final = 1.0
_MISSING_SPACE: Final = 0.3
_OTHER_VOWEL: Final = 0.4
_OTHER_CONSONANT: Final = 1.0
_OTHER_KIND: Final = 2.1
"""More than to leave one out and put the other in."""


class Aligner:
    """Finds the phonemes of each word, in the clauses of one text.

    The edit distance takes a table with a row for each phoneme alone and a column for each of the clause. A
    clause for which too few cells are left is shared out in proportion.

    Args:
        cells: Of all the tables of the text together.
    """

    def __init__(self, cells: int = CELLS) -> None:
        self._cells = cells

    @property
    def left(self) -> int:
        """Remaining cells."""
        return self._cells

    def by_word(self, clause: Sequence[str], alone: Sequence[Sequence[str]]) -> list[list[str]]:
        """The phonemes of each word of a clause.

        Args:
            clause: Phonemes of the whole, with :data:`SPACE` where words end.
            alone: Phonemes of each word, said alone.

        Returns:
            One list for each word; empty for a silent word. Every phoneme is in exactly one of them.
        """
        if len(alone) == 1:
            return [_trimmed(clause)]
        groups = _split(clause)
        if len(groups) == len(alone) and all(map(_alike, groups, alone)):
            return groups
        wanted: list[str] = []
        for index, phonemes in enumerate(alone):
            wanted += [*([SPACE] if index else []), *(phoneme for phoneme in phonemes if phoneme != SPACE)]
        cells = len(wanted) * len(clause)
        if cells > self._cells:
            borders = _shares(alone, len(clause))
        else:
            self._cells -= cells
            borders = _borders(wanted, clause)
        cuts = [0, *borders, len(clause)]
        return [_trimmed(clause[start:end]) for start, end in itertools.pairwise(cuts)]


def _shares(alone: Sequence[Sequence[str]], length: int) -> list[int]:
    """Where each word but the first begins, in proportion to the words' own lengths."""
    ends = [0, *itertools.accumulate(map(len, alone))]
    return [round(end / max(1, ends[-1]) * length) for end in ends[1:-1]]


def _split(phonemes: Sequence[str]) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for phoneme in phonemes:
        if phoneme == SPACE:
            groups.append([])
        else:
            groups[-1].append(phoneme)
    return groups


def _alike(said: Sequence[str], alone: Sequence[str]) -> bool:
    """Whether the consonants are the same."""
    return [bare(p) for p in said if not is_vowel(p)] == [
        bare(p) for p in alone if p != SPACE and not is_vowel(p)
    ]


def _trimmed(phonemes: Sequence[str]) -> list[str]:
    found = list(phonemes)
    while found and found[0] == SPACE:
        del found[0]
    while found and found[-1] == SPACE:
        del found[-1]
    return found


def _borders(wanted: Sequence[str], said: Sequence[str]) -> list[int]:
    """For each :data:`SPACE` in ``wanted`` the index in ``said`` where the next word begins."""
    steps = _steps(wanted, said)
    borders: list[int] = []
    row, at = len(wanted), len(said)
    while row:
        kind = steps[row][at]
        if kind != _ADD:
            row -= 1
            if wanted[row] == SPACE:
                borders.append(at)
        if kind != _DROP:
            at -= 1
    return borders[::-1]


def _steps(wanted: Sequence[str], said: Sequence[str]) -> list[bytearray]:
    """The last step of the cheapest way to turn ``wanted[:row]`` into ``said[:at]``, by row and by ``at``."""
    others = [(bare(phoneme), is_vowel(phoneme), _gap(phoneme)) for phoneme in said]
    costs = [0.0, *itertools.accumulate(gap for _, _, gap in others)]
    steps = [bytearray([_ADD] * len(costs))]
    for phoneme in wanted:
        own, vowel, gap = bare(phoneme), is_vowel(phoneme), _gap(phoneme)
        row = [costs[0] + gap]
        step = bytearray([_DROP])
        for at, (other, other_vowel, other_gap) in enumerate(others):
            if own == other:
                change = 0.0
            elif SPACE in (own, other) or vowel != other_vowel:
                change = _OTHER_KIND
            else:
                change = _OTHER_VOWEL if vowel else _OTHER_CONSONANT
            best, kind = costs[at] + change, _CHANGE
            if (dropped := costs[at + 1] + gap) < best:
                best, kind = dropped, _DROP
            if (added := row[at] + other_gap) < best:
                best, kind = added, _ADD
            row.append(best)
            step.append(kind)
        costs = row
        steps.append(step)
    return steps


def _gap(phoneme: str) -> float:
    """The cost of omitting or inserting a phoneme."""
    return _MISSING_SPACE if phoneme == SPACE else _MISSING
