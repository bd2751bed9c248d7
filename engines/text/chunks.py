"""Splitting of long sentences at the best boundaries."""

from collections.abc import Iterator
from typing import Final

import regex

from engines.text import ipa

_CLAUSES: Final = (
    regex.compile(r"(?:[;:؛—–…](?=\s)|[；：])\s*"),
    regex.compile(r"(?:[,،](?=\s)|[，、])\s*"),
)
_WORDS: Final = (
    regex.compile(
        r"\s+(?=(?:and|but|or|because|which|that|when|while|so|और|लेकिन|या|क्योंकि|कि|तो|जो|जब|मगर|परंतु|तथा|एवं)\s)",
        regex.IGNORECASE,
    ),
    regex.compile(r"\s+"),
)
_GRAPHEME: Final = regex.compile(r"\X")

EARLIEST: Final = 0.35
"""Minimum position of a cut, as a fraction of the limit; a weaker boundary beyond is preferred."""


def chunks(text: str, limit: int, first: int | None = None) -> Iterator[str]:
    """Split a sentence into pieces of at most ``limit`` characters.

    Args:
        text: The sentence.
        limit: Maximum number of characters of a piece.
        first: A smaller limit for the first piece, which applies only if a clause ends within it.
    """
    if first is not None and first < len(text) and (cut := _cut(text, 0, min(first, limit), _CLAUSES)):
        yield text[:cut].strip()
        text = text[cut:]
    start = 0
    while len(text) - start > limit:
        cut = _cut(text, start, limit, (*_CLAUSES, *_WORDS)) or _grapheme_cut(text, start, limit)
        if piece := text[start:cut].strip():
            yield piece
        start = cut
        while start < len(text) and text[start].isspace():
            start += 1
    if rest := text[start:].strip():
        yield rest


def _cut(text: str, start: int, limit: int, boundaries: tuple[regex.Pattern[str], ...]) -> int:
    """Return the index of the best boundary; 0 if there is none."""
    for pattern in boundaries:
        best = 0
        for match in pattern.finditer(text, start, min(len(text), start + limit + 1)):
            fits = start + EARLIEST * limit < match.end() and match.start() - start <= limit
            if fits and not ipa.inside(text, start, match.end()):
                best = match.end()
        if best:
            return min(best, start + limit)
    return 0


def _grapheme_cut(text: str, start: int, limit: int) -> int:
    """Return the last grapheme boundary within the limit; a longer grapheme is split."""
    # A copy: in the whole text, flags in a row would be counted from the first one each time.
    window = text[start : start + limit + 1]
    end = 0
    for match in _GRAPHEME.finditer(window):
        if match.end() > limit:
            break
        end = match.end()
    if end == limit and end < len(window) and _joined(window, end):
        for match in _GRAPHEME.finditer(window, 0, end):
            if not _joined(window, match.end()):
                end = match.end()
    return start + (end or limit)


def _joined(text: str, at: int) -> bool:
    """Whether a conjunct continues across a boundary: a virama or joiner precedes it."""
    return text[at - 1] in "\u094d\u200d" if 0 < at < len(text) else False
