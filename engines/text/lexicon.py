"""Lexicons: words and phrases with the form they are spoken in."""

from collections.abc import Mapping
from typing import Final

import regex

from engines.text import ipa
from engines.text.cleaning import clean
from engines.text.passage import TextError
from engines.text.traced import Traced

MAX_ENTRIES: Final = 10_000
MAX_WORD: Final = 200
MAX_SPOKEN: Final = 1_000

_WORD: Final = regex.compile(r"[\p{L}\p{N}\p{M}]")


class Lexicon:
    """Replaces whole words and phrases, the longest first, without regard to case.

    Args:
        entries: Word or phrase → spoken form, or how it sounds: IPA between slashes.

    Raises:
        TextError: An entry is empty, too long or wrong, or there are too many.
    """

    def __init__(self, entries: Mapping[str, str]) -> None:
        if len(entries) > MAX_ENTRIES:
            raise TextError(f"The lexicon has {len(entries)} entries; the limit is {MAX_ENTRIES}.", "lexicon")
        self._spoken: dict[str, str] = {}
        self._sounds: dict[str, str] = {}
        for written, said in entries.items():
            if any("\ud800" <= character <= "\udfff" for character in written + said):
                raise TextError("The lexicon holds lone surrogates.", "lexicon")
            # as the texts that they are looked for in
            word, spoken = " ".join(clean(written).split()), clean(said)
            if not word or len(written) > MAX_WORD or len(said) > MAX_SPOKEN:
                message = (
                    f"A lexicon's word has 1 to {MAX_WORD} characters, its spoken form up to {MAX_SPOKEN}."
                )
                raise TextError(message, "lexicon")
            key = word.casefold()
            sound = ipa.from_spoken(spoken)
            # a later entry of the same word wins, also where one is IPA and the other is not
            self._sounds.pop(key, None)
            self._spoken.pop(key, None)
            if sound is not None:
                self._sounds[key] = sound
            else:
                self._spoken[key] = spoken
        ordered = sorted(self._spoken | self._sounds, key=len, reverse=True)
        self._pattern = (
            regex.compile("|".join(_bounded(word) for word in ordered), regex.IGNORECASE | regex.FULLCASE)
            if ordered
            else None
        )

    def apply(self, text: str) -> str:
        """The text with every entry's word in its spoken form."""
        return self.trace(Traced.of(text)).text

    def trace(self, text: Traced, *, sounds: bool = False) -> Traced:
        """As :meth:`apply`, keeping track of where each part came from.

        Args:
            text: The text.
            sounds: Whether words whose sound is given are marked with it; otherwise they stay as they are.
        """
        if self._pattern is None:
            return text

        def spoken(match: regex.Match[str]) -> str:
            word = match.group()
            if sounds and (sound := self._sounds.get(word.casefold())) is not None:
                return ipa.marked(word, sound)
            return self._spoken.get(word.casefold(), word)

        return text.replaced(self._pattern, spoken)


def _bounded(word: str) -> str:
    """The word as a pattern that matches no part of a longer word."""
    before = r"(?<![\p{L}\p{N}\p{M}])" if _WORD.match(word[0]) else ""
    after = r"(?![\p{L}\p{N}\p{M}])" if _WORD.match(word[-1]) else ""
    return before + regex.escape(word) + after
