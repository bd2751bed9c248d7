"""Words and their phones to the numbers that the network reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engines.openvoice.melo.arpabet import CONSONANTS, VOWELS
from engines.openvoice.melo.configuration import MeloConfig
from engines.openvoice.melo.words import MARKS, Token

PAD: Final = "_"
"""At both ends, and, as number 0, between all phones where the configuration says so."""
LANGUAGE: Final = 2
"""English, among MeloTTS's languages."""
TONES: Final = 7
"""Of English the first: after six of Chinese and one of Japanese."""
_RENAMED: Final = {"v": "V"}
"""MeloTTS's symbol for a phone, where it is not the phone in lower case."""


@dataclass(frozen=True, slots=True)
class Sequenced:
    """An utterance in numbers, all lists equally long.

    Attributes:
        phones: Ids.
        tones: Ids.
        languages: Ids.
        tokens: Which token each is of; -1 for those of none.
    """

    phones: list[int]
    tones: list[int]
    languages: list[int]
    tokens: list[int]


def missing_symbols(config: MeloConfig) -> list[str]:
    """The symbols of English that a configuration lacks."""
    spoken = {symbol_of(phone) for phone in VOWELS | CONSONANTS} | MARKS | {PAD}
    return sorted(spoken - set(config.symbols))


def symbol_of(phone: str) -> str:
    """MeloTTS's symbol for a phone or a mark, without its stress."""
    small = phone.lower()
    return _RENAMED.get(small, small)


def sequence(config: MeloConfig, words: Sequence[tuple[str, ...]]) -> Sequenced:
    """Number an utterance.

    Args:
        config: Holds the symbols' places.
        words: The phones of each token; a mark is its own phone.
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
        # A blank sounds with the phone in front of it, for BERT's features and for the times of words.
        rows = [(0, 0, 0, -1), *(blank for row in rows for blank in (row, (0, 0, 0, row[3])))]
    phones, tones, languages, tokens = zip(*rows, strict=True)
    return Sequenced(list(phones), list(tones), list(languages), list(tokens))


def mark_of(token: Token) -> tuple[str, ...] | None:
    """The phones of a token that is punctuation: itself, or none; ``None`` for a word."""
    if token.text in MARKS:
        return (token.text,)
    return None if any(character.isalnum() for character in token.text) else ()
