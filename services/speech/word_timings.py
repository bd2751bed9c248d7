"""Timings of the words as the caller wrote them: of ``₹125``, not of the four words that it is spoken as."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from engines.contract import WordTiming
from engines.text import Passage, Stretch


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word of a passage's source, with its timing.

    Attributes:
        word: The word as written.
        start: Time of its first sound, in seconds from the start of the audio.
        end: Time of its last sound, in seconds from the start of the audio.
        offset: Index of its first character in ``Passage.source``; ``None`` if the engine's offset is outside
            its text.
    """

    word: str
    start: float
    end: float
    offset: int | None


class WordTimings:
    """Maps an engine's word timings to the words as written, one passage after another.

    Args:
        passages: The script's passages.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self._held: HeardWord | None = None

    def heard(self, index: int, spoken: Sequence[WordTiming]) -> tuple[HeardWord, ...]:
        """Return the words that are complete at the end of a passage.

        A word that continues in the next passage is returned with that one.

        Args:
            index: Index of the passage. Call once per passage, in order.
            spoken: The engine's words in order, with times in seconds from the start of the audio.
        """
        passage = self._passages[index]
        found: list[HeardWord] = []
        current: Stretch | None = None
        if self._held is not None:
            found.append(self._held)
            current = passage.stretches[0]
            self._held = None
        for timing in spoken:
            first, last = _stretches_of(timing, passage)
            if first is None or last is None or first.literal:
                found.append(_as_spoken(timing, first))
            elif first is current and (offset := found[-1].offset) is not None:
                written = passage.source[offset : last.source_end]
                found[-1] = replace(found[-1], word=written, end=max(found[-1].end, timing.end))
            else:
                written = passage.source[first.source_start : last.source_end]
                found.append(HeardWord(written, timing.start, timing.end, first.source_start))
            current = last
        if found and current is not None and current.goes_on and self._finished_by_next(index):
            self._held = found.pop()
        return tuple(found)

    def _finished_by_next(self, index: int) -> bool:
        """Whether the next passage begins with the rest of this passage's last word."""
        if index + 1 == len(self._passages):
            return False
        here, following = self._passages[index], self._passages[index + 1]
        last, first = here.stretches[-1], following.stretches[0]
        return (
            not first.literal
            and here.source == following.source
            and (last.source_start, last.source_end) == (first.source_start, first.source_end)
        )


def _stretches_of(timing: WordTiming, passage: Passage) -> tuple[Stretch | None, Stretch | None]:
    """Return the first and the last stretch of a timed word.

    Literal stretches, such as punctuation, are ignored if the word contains written forms. Both are ``None``
    if the word is outside the passage's text.
    """
    stretches = passage.stretches
    at = bisect.bisect_right(stretches, timing.offset, key=lambda stretch: stretch.end)
    end = timing.offset + max(1, len(timing.word))
    touched = list(takewhile(lambda stretch: stretch.start < end, stretches[at:]))
    written = [stretch for stretch in touched if not stretch.literal] or touched[:1]
    return (written[0], written[-1]) if written else (None, None)


def _as_spoken(timing: WordTiming, stretch: Stretch | None) -> HeardWord:
    offset = None
    if stretch is not None:
        offset = stretch.source_start + max(0, timing.offset - stretch.start)
    return HeardWord(timing.word, timing.start, timing.end, offset)
