"""When the caller's own words are heard: ``₹125`` as it was sent, not the four words that it is spoken as."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from engines.contract import WordTiming
from engines.text import Passage, Stretch


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word of a passage's source, and when it is heard.

    Attributes:
        word: As it was written.
        start: Its first sound, in seconds of the whole audio.
        end: Its last one.
        offset: Index of its first character in ``Passage.source``; ``None`` where the engine named a place
            outside its text.
    """

    word: str
    start: float
    end: float
    offset: int | None


class WordTimings:
    """Turns an engine's timings into those of the caller's words, one passage after another.

    Args:
        passages: Of the script.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self._held: HeardWord | None = None

    def heard(self, index: int, spoken: Sequence[WordTiming]) -> tuple[HeardWord, ...]:
        """The words that are complete with a passage; what the next one finishes is told with that.

        Args:
            index: Of the passage; they come in order.
            spoken: The engine's words in order, with times of the whole audio.
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
        """Whether the next passage begins with the rest of this one's last word."""
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
    """Where a timed word stands, from first to last: the written forms in it, without the marks around."""
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
