"""Text that is traced to its source through any number of replacements."""

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Self

import regex

from engines.text.room import Room

_WORD: Final = re.compile(r"\S+")
"""Pattern of a word, like those of ``str.split``."""


class Replacement(NamedTuple):
    """The replacement of ``text[start:end]``, which is not empty."""

    start: int
    end: int
    words: str


class Traced:
    """A text, and for each of its characters the part of the source from which it was made.

    Args:
        text: The current text.
        starts: For each character of ``text``, the index where its part of the source starts; ascending.
        ends: For each character of ``text``, the index where its part of the source ends (exclusive).
    """

    __slots__ = ("ends", "starts", "text")

    def __init__(self, text: str, starts: list[int], ends: list[int]) -> None:
        self.text = text
        self.starts = starts
        self.ends = ends

    @classmethod
    def of(cls, source: str) -> Self:
        """Return a source as traced text."""
        return cls(source, list(range(len(source))), list(range(1, len(source) + 1)))

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Return the start and end of the source's part for ``text[start:end]``, which must not be empty."""
        return self.starts[start], self.ends[end - 1]

    def replaced(
        self,
        pattern: regex.Pattern[str],
        replacement: Callable[[regex.Match[str]], str],
        room: Room | None = None,
    ) -> "Traced":
        """Replace all matches, like ``pattern.sub``.

        Args:
            pattern: The pattern; matches must not be empty.
            replacement: Returns the replacement of a match.
            room: Limits the length of the result.

        Raises:
            TextError: The result exceeds ``room``.
        """
        found = (Replacement(*match.span(), replacement(match)) for match in pattern.finditer(self.text))
        return self.substituted(found, room)

    def substituted(self, replacements: Iterable[Replacement], room: Room | None = None) -> "Traced":
        """Replace parts of the text.

        Args:
            replacements: The replacements, in order and without overlaps.
            room: Limits the length of the result.

        Raises:
            TextError: The result exceeds ``room``; raised at the first replacement that exceeds it.
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
        """Return a text of the same length, with single characters replaced, that has the same trace."""
        return Traced(text, self.starts, self.ends)

    def tidied(self) -> "Traced":
        """Reduce whitespace to one space between words, and none around them."""
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
