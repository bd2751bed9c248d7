"""What the model is given to say."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word as it stands in the text, and where it stands in its phrase.

    Attributes:
        word: The characters of the text.
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
    """A piece for the model, cut at the border of a sentence, clause or word.

    Attributes:
        symbols: Symbols of the vocabulary, punctuation included.
        words: In order. A word that is too long for one phrase stands in each that has a part of it.
    """

    symbols: str
    words: tuple[SpokenWord, ...]
