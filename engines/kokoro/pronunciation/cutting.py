"""Division of words into phrases for the model."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engines.kokoro.pronunciation.hindi import FLAP
from engines.kokoro.pronunciation.phrase import Phrase, SpokenWord
from engines.kokoro.pronunciation.reading import Word

SCRAP_WORDS: Final = 4
"""Number of words below which a phrase is a fragment, which costs extra."""
SCRAP_SYMBOLS: Final = 24
"""Number of symbols below which a phrase is a fragment; unlike words, it accounts for long words."""
_SENTENCE, _CLAUSE, _COMMA, _CONJUNCTION, _WORDS = 0.0, 2.0, 4.0, 12.0, 20.0
"""Cost of a cut, by its position."""
_SCRAP: Final = 60.0
_COST: Final = {".": _SENTENCE, "!": _SENTENCE, "?": _SENTENCE, "…": _SENTENCE, ";": _CLAUSE, ":": _CLAUSE,
                "—": _CLAUSE, ",": _COMMA, "": _WORDS}  # fmt: skip
_ALONE: Final = "ɽ"
"""Replacement of :data:`FLAP` at the end of a phrase without a stop, where its ``.`` would end a sentence."""
_PHRASE: Final = 8.0
"""Cost of each phrase, which keeps their number small."""
_BEFORE: Final = frozenset(
    (
        *[
            "and",
            "but",
            "or",
            "because",
            "which",
            "that",
            "when",
            "while",
            "so",
            "if",
            "although",
            "though",
            "who",
            "where",
            "than",
            "with",
            "for",
        ],
        *["और", "लेकिन", "या", "क्योंकि", "कि", "तो", "जो", "जब", "मगर", "परंतु", "तथा", "एवं"],
    )
)
"""English and Hindi words that often begin a clause."""


@dataclass(frozen=True, slots=True)
class Pronounced:
    """A word with its symbols.

    Attributes:
        word: The word, with the marks around it.
        symbols: Symbols of its pronunciation.
    """

    word: Word
    symbols: str

    @property
    def size(self) -> int:
        """Number of symbols, including the marks and the space before it."""
        return len(self.word.before) + len(self.symbols) + len(self.word.after) + 1


def cut(words: Sequence[Pronounced], *, limit: int, first_limit: int) -> list[Phrase]:
    """Divide words into phrases of at most ``limit`` symbols, cut where it is least audible.

    Args:
        words: The words to speak.
        limit: Maximum number of symbols per phrase.
        first_limit: Maximum number of symbols in the first phrase, if it can end there without a fragment.
    """
    words = [part for word in words for part in _parts(word, limit)]
    sizes = [0]
    for word in words:
        sizes.append(sizes[-1] + word.size)
    head = _head(words, sizes, min(first_limit, limit))
    borders = [0, *([head] if head else []), *_borders(words, sizes, head, limit)]
    return [_phrase(words[start:end]) for start, end in itertools.pairwise(borders)]


def _parts(word: Pronounced, limit: int) -> list[Pronounced]:
    """Return the word, in several pieces if it is too long for one phrase."""
    if word.size - 1 <= limit:
        return [word]
    before, after = word.word.before, word.word.after
    if len(before) + len(after) >= limit:
        before, after = "", word.word.stop if limit > 1 else ""
    room = limit - len(before) - len(after)
    pieces = [word.symbols[at : at + room] for at in range(0, len(word.symbols), room)]
    return [
        Pronounced(
            Word(
                word.word.text,
                word.word.offset,
                before=before if index == 0 else "",
                after=after if index == len(pieces) - 1 else "",
            ),
            piece.strip(),
        )
        for index, piece in enumerate(pieces)
        if piece.strip()
    ]


def _head(words: Sequence[Pronounced], sizes: Sequence[int], limit: int) -> int:
    """Return the number of words in the first phrase; 0 to use the rules of the others."""
    if sizes[-1] - 1 <= limit:
        return 0
    best, least = 0, math.inf
    for end in range(SCRAP_WORDS, len(words) - SCRAP_WORDS + 1):
        size = sizes[end] - 1
        if size > limit:
            break
        if size < SCRAP_SYMBOLS or sizes[-1] - sizes[end] < SCRAP_SYMBOLS:
            continue
        # Of two equal borders the later one: its playback covers the synthesis of the rest.
        if (cost := _cost(words, end) - size / limit) <= least:
            best, least = end, cost
    return best


def _borders(words: Sequence[Pronounced], sizes: Sequence[int], start: int, limit: int) -> list[int]:
    """Return the ends of the phrases from a word on, with the least total cost."""
    costs = {start: 0.0}
    origin: dict[int, int] = {}
    for end in range(start + 1, len(words) + 1):
        best = math.inf
        for begin in range(end - 1, start - 1, -1):
            size = sizes[end] - sizes[begin] - 1
            if size > limit:
                break
            scrap = size < SCRAP_SYMBOLS or end - begin < SCRAP_WORDS
            cost = costs[begin] + _PHRASE + (_SCRAP if scrap and (begin or end < len(words)) else 0.0)
            if cost < best:
                best, origin[end] = cost, begin
        costs[end] = best + (_cost(words, end) if end < len(words) else 0.0)
    borders: list[int] = []
    end = len(words)
    while end > start:
        borders.append(end)
        end = origin[end]
    return borders[::-1]


def _cost(words: Sequence[Pronounced], end: int) -> float:
    """Return the cost of a cut before the word ``end``."""
    cost = _COST[words[end - 1].word.stop]
    return _CONJUNCTION if cost == _WORDS and words[end].word.text.lower() in _BEFORE else cost


def _phrase(words: Sequence[Pronounced]) -> Phrase:
    symbols = ""
    spoken: list[SpokenWord] = []
    for each in words:
        symbols += (" " if symbols else "") + each.word.before
        start = len(symbols)
        ends = each is words[-1] and not each.word.after
        symbols += _at_end(each.symbols) if ends else each.symbols
        spoken.append(SpokenWord(each.word.text, each.word.offset, start, len(symbols)))
        symbols += each.word.after
    return Phrase(symbols, tuple(spoken))


def _at_end(symbols: str) -> str:
    """Return a word's symbols at the end of a phrase without a stop."""
    return symbols.removesuffix(FLAP) + _ALONE if symbols.endswith(FLAP) else symbols
