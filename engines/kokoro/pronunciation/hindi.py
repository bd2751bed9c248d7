"""Hindi, and the English words in it."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

import regex

from engines.kokoro.pronunciation.phonemes import bare, is_vowel, stress_of, symbols_of

FLAP: Final = "r."
"""ड़, as the model learned it from eSpeak NG: with the token of a full stop. ``ɽ`` sounds worse."""
HINDI: Final[Mapping[str, str]] = {
    "r.": FLAP, "ɽ": FLAP, "tʃ": "c", "dʒ": "ɟ", "tʃʰ": "cʰ", "dʒʰ": "ɟʰ", "aɪ": "aːɪ", "aʊ": "aːʊ",
    "ɔɪ": "ɔːɪ", "eɪ": "eː", "oʊ": "oː", "əʊ": "oː",
}  # fmt: skip
"""Phonemes of Hindi and their symbols; English affricates and diphthongs occur only in IPA of the text."""
INDIAN: Final[Mapping[str, str]] = {
    "t": "ʈ", "d": "ɖ", "θ": "tʰ", "ð": "d", "ɹ": "ɾ", "r": "ɾ", "v": "ʋ", "w": "ʋ", "ɾ": "ʈ",
    "tʃ": "c", "dʒ": "ɟ", "æ": "ɛː", "a": "ɛː", "ɑː": "aː", "ɑ": "aː", "ɒ": "ɔ", "ɔː": "ɔ",
    "ɜː": "ʌɾ", "ɜːɹ": "ʌɾ", "ɚ": "əɾ", "iː": "i", "uː": "u", "eɪ": "eː", "oʊ": "oː", "əʊ": "oː",
    "aɪ": "aːɪ", "aʊ": "aːʊ", "ɔɪ": "ɔːɪ", "ɔːɹ": "ɔɾ", "ɑːɹ": "aːɾ", "oːɹ": "oːɾ", "ɪɹ": "ɪəɾ",
    "ɛɹ": "ɛəɾ", "ʊɹ": "ʊəɾ", "aɪɚ": "aːɪəɾ", "aʊɚ": "aːʊəɾ", "əl": "əl", "n̩": "ən", "m̩": "əm",
    "l̩": "əl", "ᵻ": "ɪ", "ɐ": "ə", "ʔ": "ʈ", "aɪə": "aːɪə", "aː": "aː", "t̪": "t", "d̪": "d",
}  # fmt: skip
"""Phonemes of American English, which is rhotic like Indian English, and their symbols in Hindi."""

_SPLIT: Final = frozenset({"ɑː", "æ"})
"""American vowels that are split in British and Indian English: ``lot``/``father``, ``cat``/``ask``."""
_NASALS: Final = {"कखगघ": "ङ", "चछजझ": "ञ", "टठडढ": "ण", "तथदध": "न", "पफबभ": "म"}
_NASAL_BEFORE: Final = {stop: nasal for stops, nasal in _NASALS.items() for stop in stops}
_SHORT: Final = "[\u0905\u0907\u0909\u0915-\u0939\u093c\u093f\u0941\u0943]"
"""Characters that end a short vowel: independent vowels, consonants with the inherent vowel, vowel signs."""
_NASAL: Final = regex.compile(rf"(?:\u0902|(?<={_SHORT})\u0901)(?=([कखगघचछजझटठडढतथदधपफबभ])(?!\u093c))|\u0901")
_VISARGA: Final = regex.compile("\u0903(?=[खशषस])")
_DROPPED: Final = dict.fromkeys(map(ord, "\u200c\u200dऽ"), None)
_VIRAMA: Final = "\u094d"
_AKSHARA: Final = regex.compile(
    "(?P<consonants>(?:[\u0915-\u0939]\u093c?\u094d)*[\u0915-\u0939]\u093c?)"
    "(?P<vowel>[\u093e-\u094c]?[\u0900-\u0903]?)(?P<virama>\u094d?)"
    "|[\u0904-\u0914\u0960\u0961][\u0900-\u0903]?"
)
_KEPT: Final = "यरव"
"""Consonants that eSpeak NG reads correctly without a virama, except before another inherent vowel."""
_LEAST: Final = 3
"""Minimum number of aksharas in a word that drops an inner vowel."""
_SPELLINGS: Final = {
    "ताजमहल": "ताज्महल", "उपकरण": "उप्करण", "समझदार": "समझदार", "ॐ": "ओम", "छह": "छे", "छः": "छे",
}  # fmt: skip
"""Phonetic spelling of words for which the rules fail."""
_ASPIRATES: Final = regex.compile("([kɡcɟʈɖtdpb])ʰ(?:\u02d0|\\1ʰ)")
_FALSE_DOUBLE: Final = regex.compile("(^[ˈˌ]?|(?<=[mnŋɲɳ]))([kɡcɟʈɖtdpb])\u02d0")


def hindi_spelling(word: str) -> str:
    """Respell a word so that eSpeak NG reads it correctly."""
    word = unicodedata.normalize("NFC", word).translate(_DROPPED)
    if (known := _SPELLINGS.get(word)) is not None:
        return known
    return _NASAL.sub(lambda match: _nasal(match[1]), _without_schwas(_VISARGA.sub("", word)))


def hindi(phonemes: Sequence[str]) -> str:
    """Convert phonemes to symbols of Hindi."""
    symbols = symbols_of(phonemes, HINDI)
    symbols = _ASPIRATES.sub(r"\1\1ʰ", symbols)
    return _FALSE_DOUBLE.sub(r"\1\2", symbols)


def indian(phonemes: Sequence[str]) -> str:
    """Convert American phonemes to symbols of Indian English."""
    return symbols_of(phonemes, INDIAN).replace("ɾɾ", "ɾ")


def both(american: Sequence[str], british: Sequence[str]) -> list[str]:
    """Combine phonemes of an English word to Indian English: American r, but some vowels of British English.

    Args:
        american: American phonemes, from its clause.
        british: British phonemes, in isolation; ignored if their number differs.
    """
    if len(american) != len(british):
        return list(american)
    return [
        stress_of(one) + bare(other) if bare(one) in _SPLIT and is_vowel(other) else one
        for one, other in zip(american, british, strict=True)
    ]


def _nasal(stop: str | None) -> str:
    """Return the spelling of a nasal: before a stop the nasal consonant, else the sign of a nasal vowel."""
    return _NASAL_BEFORE[stop] + _VIRAMA if stop else "\u0902"


def _without_schwas(word: str) -> str:
    """Add a virama to a word's consonants whose inherent vowel is silent (schwa deletion, after Ohala).

    From the end, each inherent vowel between single consonants is dropped if the neighbouring syllables keep
    their vowels (``मतलब`` is ``mətləb``, ``समझदार`` ``səməɟʰdaːr``).
    """
    parts = list(_AKSHARA.finditer(word))
    if len(parts) < _LEAST or sum(len(part.group()) for part in parts) != len(word):
        return word
    spelt = [part.group() for part in parts]
    heard = [not part["virama"] for part in parts]
    single = [bool(part["consonants"]) and _VIRAMA not in part["consonants"] for part in parts]
    inherent = [bool(part["consonants"]) and not part["vowel"] and not part["virama"] for part in parts]
    if inherent[-1] and single[-1]:
        heard[-1] = False
    for at in range(len(parts) - 2, 0, -1):
        between = heard[at - 1] and heard[at + 1] and single[at] and single[at + 1]
        if not (between and inherent[at]) or parts[at + 1].group()[0] in "य" + spelt[at]:
            continue
        heard[at] = False
        if spelt[at] not in _KEPT or inherent[at + 1]:
            spelt[at] += _VIRAMA
    return "".join(spelt)
