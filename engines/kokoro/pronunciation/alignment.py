"""Alignment of the phonemes of a clause with its words.

In a clause, words are reduced and run together (``of the`` is pronounced ``ʌvðə``), and numbers become
several words. Each word's part is found by the edit distance from the words' isolated pronunciations.
"""

import itertools
from collections.abc import Sequence
from typing import Final

from engines.kokoro.pronunciation.phonemes import SPACE, bare, is_vowel

CELLS: Final = 200_000
"""Default limit of cells; a text of 400 characters without a comma needs at most some 160,000."""
_CHANGE, _DROP, _ADD = 0, 1, 2
_MISSING: Final = 1.0
_MISSING_SPACE: Final = 0.3
_OTHER_VOWEL: Final = 0.4
_OTHER_CONSONANT: Final = 1.0
_OTHER_KIND: Final = 2.1
"""Cost of a change of kind; higher than that of omitting one phoneme and inserting the other."""


class Aligner:
    """Finds the phonemes of each word, in the clauses of one text.

    The edit distance needs a table with a row for each isolated phoneme and a column for each of the clause.
    If too few cells are left for a clause, it is divided in proportion to the words' lengths.

    Args:
        cells: Maximum number of cells of all tables of the text.
    """

    def __init__(self, cells: int = CELLS) -> None:
        self._cells = cells

    @property
    def left(self) -> int:
        """Number of remaining cells."""
        return self._cells

    def by_word(self, clause: Sequence[str], alone: Sequence[Sequence[str]]) -> list[list[str]]:
        """Find the phonemes of each word of a clause.

        Args:
            clause: Phonemes of the clause, with :data:`SPACE` between words.
            alone: Phonemes of each word in isolation.

        Returns:
            One list per word, empty for a silent word. Every phoneme is in exactly one list.
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
    """Return where each word but the first begins, in proportion to the words' isolated lengths."""
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
    """Whether two pronunciations have the same consonants."""
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
    """Return, for each :data:`SPACE` in ``wanted``, the index in ``said`` where the next word begins."""
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
    """Return the last step of the cheapest edit of ``wanted[:row]`` to ``said[:at]``, by row and ``at``."""
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
    """Return the cost of omitting or inserting a phoneme."""
    return _MISSING_SPACE if phoneme == SPACE else _MISSING
