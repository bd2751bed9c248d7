"""Text to words as MeloTTS's English front end splits it: as BERT's uncased tokenizer does.

A model knows what it was trained on, so what looks odd here is kept: ``don't`` is three words, ``don``, ``'``
and ``t``. Apart from that, semicolons, colons and dashes become commas; MeloTTS leaves them unspoken.
"""

import re
import unicodedata
from typing import Final, NamedTuple

MARKS: Final = frozenset("!?,.'-")
"""Punctuation that is a phone of its own; all other punctuation is silent."""
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
        text: In lower case, without accents.
        chunk: Which of the text's parts between white space it is from.
    """

    text: str
    chunk: int


def chunks(text: str) -> list[tuple[int, str]]:
    """The parts between white space, each with its first character's index."""
    return [(found.start(), found[0]) for found in re.finditer(r"\S+", text)]


def tokens(text: str) -> list[Token]:
    """The words and marks of a text, in order."""
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
    """As BERT sees it: ASCII that is neither letter nor digit too."""
    if character.isascii():
        return not character.isalnum()
    return unicodedata.category(character).startswith("P")
