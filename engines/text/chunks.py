"""Splits a long sentence at the best place."""

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
"""A cut before this share of the limit would make a fragment; a weaker boundary later is better."""


def chunks(text: str, limit: int, first: int | None = None) -> Iterator[str]:
    """Pieces of at most ``limit`` characters.

    Args:
        text: A sentence.
        limit: Characters.
        first: A smaller limit for the first piece, kept where a clause ends there.
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
    """Where to cut at the best boundary, or 0."""
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
    """The last border between graphemes within the limit; a grapheme longer than that is cut anyway."""
    # A copy, as a row of flags would be counted from its beginning for each of them.
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
    """Whether a conjunct continues across this border: a virama or joiner precedes it."""
    return text[at - 1] in "\u094d\u200d" if 0 < at < len(text) else False
