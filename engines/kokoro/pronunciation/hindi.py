"""Hindi, and the English words in it."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

import regex

from engines.kokoro.pronunciation.phonemes import symbols_of

HINDI: Final[Mapping[str, str]] = {"r.": "ɽ", "r.h": "ɽʰ"}
INDIAN: Final[Mapping[str, str]] = {
    "t": "ʈ", "d": "ɖ", "θ": "tʰ", "ð": "d", "ɹ": "ɾ", "r": "ɾ", "v": "ʋ", "w": "ʋ", "ɾ": "ʈ",
    "tʃ": "c", "dʒ": "ɟ", "æ": "ɛː", "a": "ɛː", "ɑː": "aː", "ɑ": "aː", "ɒ": "ɔ", "ɔː": "ɔ",
    "ɜː": "ʌɾ", "ɜːɹ": "ʌɾ", "ɚ": "əɾ", "iː": "i", "uː": "u", "eɪ": "eː", "oʊ": "oː", "əʊ": "oː",
    "aɪ": "aːɪ", "aʊ": "aːʊ", "ɔɪ": "ɔːɪ", "ɔːɹ": "ɔɾ", "ɑːɹ": "aːɾ", "oːɹ": "oːɾ", "ɪɹ": "ɪəɾ",
    "ɛɹ": "ɛəɾ", "ʊɹ": "ʊəɾ", "aɪɚ": "aːɪəɾ", "aʊɚ": "aːʊəɾ", "əl": "əl", "n̩": "ən", "m̩": "əm",
    "l̩": "əl", "ᵻ": "ɪ", "ɐ": "ə", "ʔ": "ʈ", "aɪə": "aːɪə",
}  # fmt: skip
"""Phonemes of American English, which keeps its r's as India does, in the symbols of Hindi."""

_NASALS: Final = {"कखगघ": "ङ", "चछजझ": "ञ", "टठडढ": "ण", "तथदध": "न", "पफबभ": "म"}
_NASAL_BEFORE: Final = {stop: nasal for stops, nasal in _NASALS.items() for stop in stops}
_ANUSVARA: Final = regex.compile("\u0902(?=([कखगघचछजझटठडढतथदधपफबभ]))")
_DROPPED: Final = dict.fromkeys(map(ord, "\u200c\u200dऽ"), None)


def hindi_spelling(word: str) -> str:
    """A word spelt so that eSpeak NG reads it right."""
    word = unicodedata.normalize("NFC", word).translate(_DROPPED)
    return _ANUSVARA.sub(lambda match: _NASAL_BEFORE[match[1]] + "\u094d", word)


def hindi(phonemes: Sequence[str]) -> str:
    """Symbols of Hindi."""
    return symbols_of(phonemes, HINDI)


def indian(phonemes: Sequence[str]) -> str:
    """Symbols of English as it is spoken in India, from American phonemes."""
    return symbols_of(phonemes, INDIAN)
