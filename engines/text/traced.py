"""Text that remembers where it came from, however often parts of it are replaced."""

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Self

import regex

from engines.text.room import Room

_WORD: Final = re.compile(r"\S+")
"""What ``str.split`` takes for a word."""


class Replacement(NamedTuple):
    """What stands in place of ``text[start:end]``, which is not empty."""

    start: int
    end: int
    words: str


class Traced:
    """A text, and for each of its characters the stretch of the source that it stands for.

    Args:
        text: As it is by now.
        starts: For each character of ``text``, the index of the source's first character behind it; ascending.
        ends: The index after the last one, likewise.
    """

    __slots__ = ("ends", "starts", "text")

    def __init__(self, text: str, starts: list[int], ends: list[int]) -> None:
        self.text = text
        self.starts = starts
        self.ends = ends

    @classmethod
    def of(cls, source: str) -> Self:
        """The source itself."""
        return cls(source, list(range(len(source))), list(range(1, len(source) + 1)))

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the source behind ``text[start:end]``, which is not empty."""
        return self.starts[start], self.ends[end - 1]

    def replaced(
        self,
        pattern: regex.Pattern[str],
        replacement: Callable[[regex.Match[str]], str],
        room: Room | None = None,
    ) -> "Traced":
        """As ``pattern.sub`` does it; matches are not empty.

        Args:
            pattern: What is replaced.
            replacement: By what.
            room: For the text that comes of it.

        Raises:
            TextError: There is no room for it.
        """
        found = (Replacement(*match.span(), replacement(match)) for match in pattern.finditer(self.text))
        return self.substituted(found, room)

    def substituted(self, replacements: Iterable[Replacement], room: Room | None = None) -> "Traced":
        """The text with parts of it replaced.

        Args:
            replacements: In order; none overlaps another.
            room: For the text that comes of it.

        Raises:
            TextError: There is no room for it. It is noticed with the first part that is too much.
        """
        parts: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        done = 0
        for start, end, words in replacements:
            if room is not None:
                room.take(start - done + len(words))
            parts += (self.text[done:start], words)
            first, last = self.origin(start, end)
            starts += self.starts[done:start] + [first] * len(words)
            ends += self.ends[done:start] + [last] * len(words)
            done = end
        if room is not None:
            room.take(len(self.text) - done)
        if not done:
            return self
        parts.append(self.text[done:])
        return Traced("".join(parts), starts + self.starts[done:], ends + self.ends[done:])

    def recoded(self, text: str) -> "Traced":
        """Another text of the same length, in which single characters were exchanged."""
        return Traced(text, self.starts, self.ends)

    def tidied(self) -> "Traced":
        """One space between words, none around them."""
        text = " ".join(self.text.split())
        if text == self.text:
            return self
        starts: list[int] = []
        ends: list[int] = []
        for match in _WORD.finditer(self.text):
            start, end = match.span()
            if starts:
                start -= 1  # the space before it
            starts += self.starts[start:end]
            ends += self.ends[start:end]
        return Traced(text, starts, ends)
