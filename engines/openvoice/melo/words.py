"""Splitting of text into words as in MeloTTS's English front end, which follows BERT's uncased tokenizer.

Its oddities are kept, since the model was trained with them: ``don't`` is three words, ``don``, ``'`` and
``t``. The one deviation: semicolons, colons and dashes become commas; MeloTTS makes them silent.
"""

import re
import unicodedata
from typing import Final, NamedTuple

MARKS: Final = frozenset("!?,.'-")
"""Punctuation marks that are phones themselves; all others are silent."""
_REPLACED: Final = str.maketrans(
    {
        **dict.fromkeys("‘’ʼ`´", "'"),
        **dict.fromkeys(";:，、–—", ","),
        **dict.fromkeys("。；…।॥", "."),
        **dict.fromkeys("‐‑‒", "-"),
        "！": "!",
        "？": "?",
    }
)
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Token(NamedTuple):
    """A word or a mark.

    Attributes:
        text: Text in lower case, without accents.
        chunk: Index of the text's part between white space that it is from.
    """

    text: str
    chunk: int


def chunks(text: str) -> list[tuple[int, str]]:
    """Split a text at white space; return each part with the index of its first character."""
    return [(found.start(), found[0]) for found in re.finditer(r"\S+", text)]


def tokens(text: str) -> list[Token]:
    """Split a text into words and marks, in order."""
    return [
        Token(word, index)
        for index, (_, chunk) in enumerate(chunks(text))
        for part in _CAMEL.split(chunk.translate(_REPLACED))
        for word in _split(part)
    ]


def _split(part: str) -> list[str]:
    plain = "".join(
        character
        for character in unicodedata.normalize("NFD", part.lower())
        if unicodedata.category(character)[0] not in "MC"
    )
    words: list[str] = []
    joined = False
    for character in plain:
        alone = _is_punctuation(character)
        if joined and not alone:
            words[-1] += character
        else:
            words.append(character)
        joined = not alone
    return words


def _is_punctuation(character: str) -> bool:
    """Whether BERT treats a character as punctuation, which includes all ASCII symbols."""
    if character.isascii():
        return not character.isalnum()
    return unicodedata.category(character).startswith("P")
