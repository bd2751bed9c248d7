"""Lexicons: words and phrases with the form they are spoken in."""

import bisect
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import regex

from engines.text import ipa
from engines.text.cleaning import clean
from engines.text.errors import TextError
from engines.text.room import Room
from engines.text.traced import Replacement, Traced

MAX_ENTRIES: Final = 10_000
MAX_WORD: Final = 200
MAX_SPOKEN: Final = 1_000

_SPACES: Final = regex.compile(r"\s+")
_WORD: Final = regex.compile(r"[\p{L}\p{N}\p{M}]")


class _Entry(NamedTuple):
    """How a word is spoken: by ``spoken``, or by its ``sound`` in IPA."""

    spoken: str
    sound: str | None


class _Words:
    """The words of a lexicon. The longest match is found by bisection, however similar they are.

    Args:
        entries: By their words, case-folded.
    """

    def __init__(self, entries: Mapping[str, _Entry]) -> None:
        self.entries = entries
        self.first = frozenset(word[0] for word in entries)
        self._words = sorted(entries)
        self._shorter = _prefixes(self._words)

    def lengths(self, following: str) -> Iterator[int]:
        """The lengths of the words that ``following`` begins with, the longest first."""
        # What comes last before it in the order begins with each of them.
        index = bisect.bisect_right(self._words, following) - 1
        if index < 0:
            return
        common = _common(self._words[index], following)
        while index >= 0:
            length = len(self._words[index])
            if length <= common:
                yield length
            index = self._shorter[index]


class Lexicon:
    """Replaces whole words and phrases, the longest first, case-insensitive.

    Args:
        entries: Word or phrase → spoken form, or its pronunciation: IPA between slashes.
        under: Defaults for words that ``entries`` lacks.

    Raises:
        TextError: An entry is empty, too long or wrong, or there are too many.
    """

    def __init__(self, entries: Mapping[str, str], under: "Lexicon | None" = None) -> None:
        if len(entries) > MAX_ENTRIES:
            raise TextError(f"The lexicon has {len(entries)} entries; the limit is {MAX_ENTRIES}.", "lexicon")
        # a later entry of the same word wins
        own = _Words(dict(_read(written, said) for written, said in entries.items()))
        self.layers: Final[tuple[_Words, ...]] = (own, *(under.layers if under is not None else ()))
        self._first = frozenset[str]().union(*(words.first for words in self.layers))

    def apply(self, text: str, room: Room | None = None) -> str:
        """The text with every entry's word in its spoken form.

        Raises:
            TextError: There is no room for it.
        """
        return self.trace(Traced.of(text), room=room).text

    def trace(self, text: Traced, *, sounds: bool = False, room: Room | None = None) -> Traced:
        """As :meth:`apply`, keeping track of where each part came from.

        Args:
            text: The text.
            sounds: Whether words whose sound is given are marked with it; otherwise they stay as they are.
            room: For the text that comes of it.

        Raises:
            TextError: There is no room for it.
        """
        return text.substituted(self._found(text.text, sounds=sounds), room)

    def _found(self, text: str, *, sounds: bool) -> Iterator[Replacement]:
        if not self._first:
            return
        folded, places = _folded(text)
        done = 0
        for at, character in enumerate(folded):
            if at < done or character not in self._first or not _begins(places, at):
                continue
            end = self._end(folded, places, at)
            if not end:
                continue
            start, done = places[at], end
            word, entry = text[start : places[end]], self._entry(folded[at:end])
            if entry.sound is None:
                spoken = entry.spoken
            else:
                spoken = ipa.marked(word, entry.sound) if sounds else word
            yield Replacement(start, places[end], spoken)

    def _end(self, folded: str, places: list[int], at: int) -> int:
        """Where the longest word ends that begins at ``at`` and is no part of a longer one; 0 without any."""
        if at and _is_word(folded[at]) and _is_word(folded[at - 1]):
            return 0
        following = folded[at : at + _MAX_FOLDED_CHARS]
        return max(self._end_in(words, following, folded, places, at) for words in self.layers)

    @staticmethod
    def _end_in(words: _Words, following: str, folded: str, places: list[int], at: int) -> int:
        for length in words.lengths(following):
            end = at + length
            inside = end < len(folded) and _is_word(folded[end - 1]) and _is_word(folded[end])
            if not inside and _begins(places, end):
                return end
        return 0

    def _entry(self, word: str) -> _Entry:
        return next(words.entries[word] for words in self.layers if word in words.entries)


_MAX_FOLDED_CHARS: Final = 3 * MAX_WORD
"""Characters of a case-folded word: one may become three (``ΐ``)."""


def _read(written: str, said: str) -> tuple[str, _Entry]:
    """An entry under its word, in the form that texts are searched for.

    Raises:
        TextError: It is empty, too long or wrong.
    """
    if len(written) > MAX_WORD or len(said) > MAX_SPOKEN:
        raise _wrong_length()
    if any("\ud800" <= character <= "\udfff" for character in written + said):
        raise TextError("The lexicon contains lone surrogates.", "lexicon")
    word, spoken = " ".join(clean(written).split()), _SPACES.sub(" ", clean(said))
    if not word:
        raise _wrong_length()
    return word.casefold(), _Entry(spoken, ipa.from_spoken(spoken))


def _wrong_length() -> TextError:
    message = f"A lexicon's word can have 1 to {MAX_WORD} characters, its spoken form up to {MAX_SPOKEN}."
    return TextError(message, "lexicon")


def _prefixes(words: list[str]) -> list[int]:
    """For each of the words, which are in order, the index of the longest other one that it begins with, or -1."""
    found: list[int] = []
    for index, word in enumerate(words):
        shorter = index - 1
        while shorter >= 0 and not word.startswith(words[shorter]):
            shorter = found[shorter]
        found.append(shorter)
    return found


def _common(one: str, other: str) -> int:
    """Length of the common prefix."""
    if other.startswith(one):
        return len(one)
    return next(at for at, (a, b) in enumerate(zip(one, f"{other}\0", strict=False)) if a != b)


def _folded(text: str) -> tuple[str, list[int]]:
    """The case-folded text; for each of its characters, and its end, the index in ``text``."""
    folded = text.casefold()
    if len(folded) == len(text):
        return folded, list(range(len(text) + 1))
    places: list[int] = []
    for index, character in enumerate(text):
        places += [index] * len(character.casefold())
    return folded, [*places, len(text)]


def _begins(places: list[int], at: int) -> bool:
    """Whether an original character begins here, not within a folded one."""
    return at == 0 or places[at] != places[at - 1]


def _is_word(character: str) -> bool:
    return character.isalnum() if character.isascii() else _WORD.match(character) is not None
