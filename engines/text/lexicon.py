"""Lexicons: the spoken forms of words and phrases."""

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
    """The spoken form of a word: words in ``spoken``, or IPA in ``sound``."""

    spoken: str
    sound: str | None


class _Words:
    """The words of a lexicon. The longest match is found by bisection, even if words are similar.

    Args:
        entries: Entries by case-folded word.
    """

    def __init__(self, entries: Mapping[str, _Entry]) -> None:
        self.entries = entries
        self.first = frozenset(word[0] for word in entries)
        self._words = sorted(entries)
        self._shorter = _prefixes(self._words)

    def lengths(self, following: str) -> Iterator[int]:
        """Yield the lengths of the words that ``following`` begins with, longest first."""
        # The last word not after it in sorted order shares all of these prefixes.
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
    """Replaces whole words and phrases, the longest match first, case-insensitively.

    Args:
        entries: Spoken forms, or IPA between slashes, by word or phrase.
        under: A lexicon with defaults for other words.

    Raises:
        TextError: An entry is empty, too long or invalid, or there are too many entries.
    """

    def __init__(self, entries: Mapping[str, str], under: "Lexicon | None" = None) -> None:
        if len(entries) > MAX_ENTRIES:
            raise TextError(f"The lexicon has {len(entries)} entries; the limit is {MAX_ENTRIES}.", "lexicon")
        # a later entry for the same word wins
        own = _Words(dict(_read(written, said) for written, said in entries.items()))
        self.layers: Final[tuple[_Words, ...]] = (own, *(under.layers if under is not None else ()))
        self._first = frozenset[str]().union(*(words.first for words in self.layers))

    def apply(self, text: str, room: Room | None = None) -> str:
        """Replace all words with an entry by their spoken form.

        Raises:
            TextError: The result exceeds ``room``.
        """
        return self.trace(Traced.of(text), room=room).text

    def trace(self, text: Traced, *, sounds: bool = False, room: Room | None = None) -> Traced:
        """Like :meth:`apply`, for traced text.

        Args:
            text: The text.
            sounds: Whether words with IPA are marked with it; otherwise they are unchanged.
            room: Limits the length of the result.

        Raises:
            TextError: The result exceeds ``room``.
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
        """Return the end of the longest entry at ``at`` that consists of whole words; 0 if there is none."""
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
"""Maximum length of a case-folded word: one character may become three (``ΐ``)."""


def _read(written: str, said: str) -> tuple[str, _Entry]:
    """Return an entry's word, in the form for searching texts, and the entry.

    Raises:
        TextError: The entry is empty, too long or invalid.
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
    """Return, for each of the sorted words, the index of the longest other word that is its prefix, or -1."""
    found: list[int] = []
    for index, word in enumerate(words):
        shorter = index - 1
        while shorter >= 0 and not word.startswith(words[shorter]):
            shorter = found[shorter]
        found.append(shorter)
    return found


def _common(one: str, other: str) -> int:
    """Return the length of the common prefix."""
    if other.startswith(one):
        return len(one)
    return next(at for at, (a, b) in enumerate(zip(one, f"{other}\0", strict=False)) if a != b)


def _folded(text: str) -> tuple[str, list[int]]:
    """Return the case-folded text and, for each of its characters and its end, the index in ``text``."""
    folded = text.casefold()
    if len(folded) == len(text):
        return folded, list(range(len(text) + 1))
    places: list[int] = []
    for index, character in enumerate(text):
        places += [index] * len(character.casefold())
    return folded, [*places, len(text)]


def _begins(places: list[int], at: int) -> bool:
    """Whether an original character begins at this index of the folded text."""
    return at == 0 or places[at] != places[at - 1]


def _is_word(character: str) -> bool:
    return character.isalnum() if character.isascii() else _WORD.match(character) is not None
