"""Word timings from eSpeak NG's word events."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple

from engines.contract import WordTiming
from engines.espeak.wire import Mark

_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Scripts without spaces (Thai, Lao, Burmese, kana, Han), in which each mark is a word."""
_WORD: Final = re.compile(rf"[{_UNSPACED}]+|[^\s{_UNSPACED}]+")


def word_timings(text: str, marks: Sequence[Mark]) -> tuple[WordTiming, ...]:
    """Return the words of ``text`` with their times.

    eSpeak NG marks each number, letter or particle that it speaks, with lengths that refer to its expansion
    of the word; here all marks within one written word are merged.

    Args:
        text: ``Utterance.text``.
        marks: The marks, in the order in which they are spoken.
    """
    words: list[WordTiming] = []
    spans = list(_spans(text, marks))
    following = 0
    for mark in marks:
        at = mark.position - 1
        while following < len(spans) and spans[following].start <= at:
            following += 1
        if following == 0:
            continue
        _, offset, word = spans[following - 1]
        start, end = mark.start / 1000, mark.end / 1000
        if words and words[-1].offset == offset:
            words[-1] = WordTiming(word, words[-1].start, end, offset)
        else:
            words.append(WordTiming(word, start, end, offset))
    return tuple(words)


class _Span(NamedTuple):
    """A written word: its start, and its offset and text without surrounding punctuation."""

    start: int
    offset: int
    word: str


def _spans(text: str, marks: Sequence[Mark]) -> list[_Span]:
    starts = sorted({mark.position - 1 for mark in marks})
    spans: list[_Span] = []
    for match in _WORD.finditer(text):
        cuts = [match.start()]
        if re.match(f"[{_UNSPACED}]", match[0]):
            cuts += [at for at in starts if match.start() < at < match.end()]
        for start, end in zip(cuts, [*cuts[1:], match.end()], strict=True):
            spans.append(_span(text, start, end))
    return spans


def _span(text: str, start: int, end: int) -> _Span:
    first, last = start, end
    while first < last and _is_punctuation(text[first]):
        first += 1
    while last > first and _is_punctuation(text[last - 1]):
        last -= 1
    return _Span(start, first, text[first:last]) if first < last else _Span(start, start, text[start:end])


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char).startswith("P")
