"""Phrases, the input of the model."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of the text, with its position in its phrase.

    Attributes:
        word: The word's characters in the text.
        offset: Index of its first character in the text.
        start: Index of its first symbol in ``Phrase.symbols``.
        end: Index after its last symbol; punctuation is not part of it.
    """

    word: str
    offset: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Phrase:
    """A piece of text for the model, cut at the border of a sentence, clause or word.

    Attributes:
        symbols: Symbols of the vocabulary, including punctuation.
        words: Words in order. A word that is too long for one phrase is in each phrase with a part of it.
    """

    symbols: str
    words: tuple[SpokenWord, ...]
