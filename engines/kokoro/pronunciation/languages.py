"""The languages that can be pronounced."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import regex

from engines.contract import UnsupportedUtterance
from engines.kokoro.pronunciation.acronyms import english_spelling, indian_spelling
from engines.kokoro.pronunciation.english import AMERICAN, BRITISH, american, british
from engines.kokoro.pronunciation.hindi import HINDI, INDIAN, hindi, hindi_spelling, indian
from engines.kokoro.pronunciation.reading import plain
from engines.kokoro.pronunciation.romance import ROMANCE, romance


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """The pronunciation of words in a language.

    Attributes:
        voice: Voice of eSpeak NG.
        symbols: Converts its phonemes to the model's symbols.
        table: Symbols of single phonemes, which ``symbols`` uses.
        spelling: Respells a word for eSpeak NG.
        vowels: Second voice of eSpeak NG, from which some vowels are taken; empty for none.
    """

    voice: str
    symbols: Callable[[Sequence[str]], str]
    table: Mapping[str, str]
    spelling: Callable[[str], str] = field(default=plain)
    vowels: str = ""


_AMERICAN: Final = Speech(voice="gmw/en-US", symbols=american, table=AMERICAN, spelling=english_spelling)
_BRITISH: Final = Speech(voice="gmw/en", symbols=british, table=BRITISH, spelling=english_spelling)
_INDIAN: Final = Speech(
    voice="gmw/en-US", symbols=indian, table=INDIAN, spelling=english_spelling, vowels="gmw/en-GB-x-rp"
)
_HINGLISH: Final = replace(_INDIAN, spelling=indian_spelling)
_HINDI: Final = Speech(voice="inc/hi", symbols=hindi, table=HINDI, spelling=hindi_spelling)
_SPEECHES: Final = {
    "en": _AMERICAN,
    "en-US": _AMERICAN,
    "en-GB": _BRITISH,
    "en-IN": _INDIAN,
    "hi": _HINDI,
    "es": Speech(voice="roa/es", symbols=romance, table=ROMANCE),
    "fr": Speech(voice="roa/fr", symbols=romance, table=ROMANCE),
    "it": Speech(voice="roa/it", symbols=romance, table=ROMANCE),
    "pt-BR": Speech(voice="roa/pt-BR", symbols=romance, table=ROMANCE),
}

LANGUAGES: Final = tuple(_SPEECHES)
"""BCP-47 tags that can be pronounced."""

_NEAREST: Final = {"en-au": "en-GB", "en-nz": "en-GB", "en-ie": "en-GB", "en-za": "en-GB", "pt": "pt-BR"}
_ELSEWHERE: Final = {"ja": "Japanese", "zh": "Chinese", "cmn": "Chinese"}
_DEVANAGARI: Final = regex.compile(r"\p{Script=Devanagari}")
_LATIN: Final = regex.compile(r"\p{Script=Latin}")


def speech_in(language: str) -> Speech:
    """Return the pronunciation of a language.

    Args:
        language: BCP-47 tag; for an unknown one, the nearest variant of the same language is used.

    Raises:
        UnsupportedUtterance: The language is not supported.
    """
    tag = language.replace("_", "-").lower()
    subtag = tag.partition("-")[0]
    known = {name.lower(): speech for name, speech in _SPEECHES.items()}
    for name in (tag, _NEAREST.get(tag, ""), subtag, _NEAREST.get(subtag, "")):
        if (speech := known.get(name.lower())) is not None:
            return speech
    if subtag in _ELSEWHERE:
        message = f"KOKORO's {_ELSEWHERE[subtag]} voices need a pronunciation module that is not installed"
    else:
        message = f"KOKORO cannot pronounce the language '{language[:40]}'"
    raise UnsupportedUtterance(f"{message}. It speaks {', '.join(LANGUAGES)}.", param="language")


def speech_of(word: str, speech: Speech) -> tuple[Speech, Speech]:
    """Return the pronunciations that a word's voice and its symbols are taken from, in a text of a language.

    An English word in Hindi text gets the symbols of Hindi; a Hindi word in text of another language gets
    that language's. Indian English uses the symbols of Hindi.
    """
    if speech is _HINDI and _LATIN.search(word) and not _DEVANAGARI.search(word):
        return _HINGLISH, _HINGLISH
    if speech is not _HINDI and _DEVANAGARI.search(word):
        return _HINDI, _HINDI if speech is _INDIAN else speech
    return speech, speech
