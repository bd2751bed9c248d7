"""Mapping of the parts of a spoken text to the words of its source."""

import bisect
import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final, NamedTuple, TypeAlias

from engines.text.traced import Traced

UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Scripts without spaces (Thai, Lao, Burmese, kana, Han), in which each character counts as a word."""

_WORD: Final = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
_LOOSE: Final = ",;:،、，；："
"""Clause marks that do not belong to a word, even if they are read with it, such as ``15,`` in a date."""


MOST_COMPARED: Final = 1_000
"""Maximum number of pairs of spoken and read words of a group that are compared; a date has a hundred.

Comparing can take quadratic time, and a malicious lexicon can turn a whole text into one group.
"""

Readings: TypeAlias = Callable[[str], Iterable[str]]
"""Returns the possible readings of a single written word; at least one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of a passage's text, and the part of its source that it represents.

    Attributes:
        start: Index of the first character in ``Passage.text``.
        end: Index after the last character in ``Passage.text``.
        source_start: Index of the first character in ``Passage.source``.
        source_end: Index after the last character in ``Passage.source``.
        literal: Whether both are equal; otherwise the source's part is one written form, such as ``₹125``.
        goes_on: Whether the written form continues at the start of the next passage.
    """

    start: int
    end: int
    source_start: int
    source_end: int
    literal: bool
    goes_on: bool = False

    def within(self, start: int, end: int) -> "Stretch | None":
        """Return the part in ``text[start:end]``, relative to ``start``; ``None`` if there is none."""
        first, last = max(start, self.start), min(end, self.end)
        if first >= last:
            return None
        source_start, source_end = self.source_start, self.source_end
        if self.literal:
            source_start, source_end = source_start + first - self.start, source_end - (self.end - last)
        return replace(
            self,
            start=first - start,
            end=last - start,
            source_start=source_start,
            source_end=source_end,
            goes_on=not self.literal and last < self.end,
        )


def stretches(spoken: Traced, source: str, readings: Readings) -> tuple[Stretch, ...]:
    """Return the stretches of a spoken text, in order; together they contain all of its words.

    Args:
        spoken: The text, traced to ``source``.
        source: The sentence from which it was made.
        readings: Readings of a written word; used to divide a form that consists of several words.
    """
    if spoken.text == source:
        return (_literal(0, 0, len(source)),) if source else ()
    found: list[Stretch] = []
    for group in _groups(spoken, source):
        for stretch in _stretches(group, spoken.text, source, readings):
            if found and _joins(found[-1], stretch, spoken.text, source):
                found[-1] = replace(found[-1], end=stretch.end, source_end=stretch.source_end)
            else:
                found.append(stretch)
    return tuple(found)


class _Span(NamedTuple):
    """A word: the index of its first character, and the one after its last."""

    start: int
    end: int


class _Group(NamedTuple):
    """Spoken words, and the written words that they represent; neither is empty."""

    spoken: Sequence[_Span]
    written: Sequence[_Span]


def _literal(start: int, source_start: int, length: int) -> Stretch:
    return Stretch(
        start=start,
        end=start + length,
        source_start=source_start,
        source_end=source_start + length,
        literal=True,
    )


def _groups(spoken: Traced, source: str) -> Iterator[_Group]:
    """Yield the smallest groups of words without relations to words outside of the group."""
    written = [_Span(*match.span()) for match in _WORD.finditer(source)]
    words: list[_Span] = []
    first = last = at = 0
    for match in _WORD.finditer(spoken.text):
        start, end = spoken.origin(*match.span())
        while at + 1 < len(written) and written[at].end <= start:
            at += 1
        until = at + 1
        while until < len(written) and written[until].start < end:
            until += 1
        if words and at >= last:
            yield _Group(words, written[first:last])
            words = []
        if not words:
            first = at
        last = max(until, last)
        words.append(_Span(*match.span()))
    if words:
        yield _Group(words, written[first:last])


def _stretches(group: _Group, text: str, source: str, readings: Readings) -> Iterator[Stretch]:
    for spoken, written in _split(group, text, source, readings):
        start, end = spoken[0].start, spoken[-1].end
        source_start, source_end = written[0].start, written[-1].end
        if text[start:end] == source[source_start:source_end]:
            yield _literal(start, source_start, end - start)
            continue
        before = _marks(text[start:end], source[source_start:source_end])
        after = _marks(text[start + before : end][::-1], source[source_start + before : source_end][::-1])
        if before:
            yield _literal(start, source_start, before)
        yield Stretch(
            start=end - after - len(text[start + before : end - after].lstrip()),
            end=start + before + len(text[start + before : end - after].rstrip()),
            source_start=source_start + before,
            source_end=source_start + before + _tight(source[source_start + before : source_end - after]),
            literal=False,
        )
        if after:
            yield _literal(end - after, source_end - after, after)


def _tight(written: str) -> int:
    """Return the length of a written form without final clause marks; at least 1."""
    return len(written.rstrip(_LOOSE)) or len(written)


def _marks(text: str, source: str) -> int:
    """Return the number of common leading punctuation marks; at least one character of each remains."""
    count = 0
    most = min(len(text), len(source)) - 1
    while count < most and text[count] == source[count] and unicodedata.category(text[count])[0] == "P":
        count += 1
    return count


def _joins(before: Stretch, after: Stretch, text: str, source: str) -> bool:
    """Whether two consecutive stretches can be joined: both are literal, with the same text in between."""
    between = text[before.end : after.start]
    return before.literal and after.literal and between == source[before.source_end : after.source_start]


def _split(group: _Group, text: str, source: str, readings: Readings) -> Iterator[_Group]:
    """Yield the parts of a group, each with one written word, or more if there are too few spoken ones."""
    if len(group.written) == 1:
        yield group
        return
    if len(group.written) == len(group.spoken):
        for one, other in zip(group.spoken, group.written, strict=True):
            yield _Group([one], [other])
        return
    said = [_plain(text[start:end]) for start, end in group.spoken]
    written = [source[start:end] for start, end in group.written]
    if len(said) * len(written) > MOST_COMPARED:
        owners = _shares(len(said), range(len(written)), written)
    else:
        owners = _owners(said, [_likeliest(readings(word), said) for word in written], written)
    done = taken = 0
    for at, owner in enumerate(owners):
        if at + 1 < len(owners) and owners[at + 1] == owner:
            continue
        # Written words without spoken ones join the next part, or the last one.
        until = len(written) if at + 1 == len(owners) else owner + 1
        yield _Group(group.spoken[done : at + 1], group.written[taken:until])
        done, taken = at + 1, until


def _owners(said: list[str], readings: list[list[str]], written: list[str]) -> list[int]:
    """Return, for each spoken word, the index of its written word; ascending.

    Spoken words that match the reading of a written word belong to it. The words in between are divided among
    the written words in between, in proportion to their length, or else belong to a neighbour.
    """
    flat = [(word, owner) for owner, reading in enumerate(readings) for word in reading]
    if len(said) * len(flat) > MOST_COMPARED:
        return _shares(len(said), range(len(written)), written)
    matcher = difflib.SequenceMatcher(None, said, [word for word, _ in flat], autojunk=False)
    literal = [reading == [_plain(word)] for reading, word in zip(readings, written, strict=True)]
    owners: list[int] = []
    for at, other, size in matcher.get_matching_blocks():
        previous = owners[-1] if owners else -1
        following = flat[other][1] if size else len(written)
        between = range(previous + 1, following)
        if between:
            owners += _shares(at - len(owners), between, written)
        else:
            # A word that is spoken as written has no further spoken words.
            later = previous < 0 or (following < len(written) and literal[previous])
            owners += [following if later else previous] * (at - len(owners))
        owners += [owner for _, owner in flat[other : other + size]]
    return owners


def _shares(count: int, between: Sequence[int], written: list[str]) -> list[int]:
    """Divide ``count`` spoken words among written words, in proportion to their length."""
    borders = list(accumulate(len(written[owner]) for owner in between))
    middles = [(number + 0.5) / count * borders[-1] for number in range(count)]
    return [between[bisect.bisect(borders, middle)] for middle in middles]


def _likeliest(readings: Iterable[str], said: Sequence[str]) -> list[str]:
    """Return the words of the reading with the largest fraction of spoken words."""
    heard = Counter(said)
    candidates = [[_plain(word) for word in reading.split()] for reading in readings]
    return max(candidates, key=lambda words: (Counter(words) & heard).total() / max(1, len(words)))


def _plain(word: str) -> str:
    """Return a word for comparisons: case-folded, without surrounding punctuation."""
    start, end = 0, len(word)
    while start < end and unicodedata.category(word[start])[0] == "P":
        start += 1
    while start < end and unicodedata.category(word[end - 1])[0] == "P":
        end -= 1
    return word[start:end].casefold()
