"""Conversion of words' phones to the network's input."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engines.openvoice.melo.arpabet import CONSONANTS, VOWELS
from engines.openvoice.melo.configuration import MeloConfig
from engines.openvoice.melo.words import MARKS, Token

PAD: Final = "_"
"""Symbol at both ends and, as ID 0, between all phones if the configuration has ``add_blank``."""
LANGUAGE: Final = 2
"""ID of English in MeloTTS."""
TONES: Final = 7
"""ID of the first tone of English, after six of Chinese and one of Japanese."""
_RENAMED: Final = {"v": "V"}
"""Lower-case phones with another symbol in MeloTTS."""


@dataclass(frozen=True, slots=True)
class Sequenced:
    """The network's input for an utterance; all lists have the same length.

    Attributes:
        phones: IDs of phones.
        tones: IDs of tones.
        languages: IDs of languages.
        tokens: Index of the token that each phone belongs to; -1 for none.
    """

    phones: list[int]
    tones: list[int]
    languages: list[int]
    tokens: list[int]


def missing_symbols(config: MeloConfig) -> list[str]:
    """Return the symbols of English that a configuration lacks."""
    spoken = {symbol_of(phone) for phone in VOWELS | CONSONANTS} | MARKS | {PAD}
    return sorted(spoken - set(config.symbols))


def symbol_of(phone: str) -> str:
    """Return MeloTTS's symbol for a phone without stress, or for a mark."""
    small = phone.lower()
    return _RENAMED.get(small, small)


def sequence(config: MeloConfig, words: Sequence[tuple[str, ...]]) -> Sequenced:
    """Convert an utterance to the network's input.

    Args:
        config: Configuration with the symbols.
        words: Phones of each token; a mark is its own phone.
    """
    ids = {symbol: index for index, symbol in enumerate(config.symbols)}
    rows = [(ids[PAD], TONES, LANGUAGE, -1)]
    for index, phones in enumerate(words):
        for phone in phones:
            stressed = phone[-1].isdigit()
            symbol = symbol_of(phone[:-1] if stressed else phone)
            tone = int(phone[-1]) + 1 if stressed else 0
            rows.append((ids[symbol], TONES + tone, LANGUAGE, index))
    rows.append((ids[PAD], TONES, LANGUAGE, -1))
    if config.data.add_blank:
        # A blank belongs to the token of the phone before it, for BERT's features and for word timings.
        rows = [(0, 0, 0, -1), *(blank for row in rows for blank in (row, (0, 0, 0, row[3])))]
    phones, tones, languages, tokens = zip(*rows, strict=True)
    return Sequenced(list(phones), list(tones), list(languages), list(tokens))


def mark_of(token: Token) -> tuple[str, ...] | None:
    """Return the phones of punctuation: the mark itself, or none if it is silent; ``None`` for a word."""
    if token.text in MARKS:
        return (token.text,)
    return None if any(character.isalnum() for character in token.text) else ()
