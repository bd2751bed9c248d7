"""Parsing of phonemes, in eSpeak NG's notation and in IPA, and their conversion to symbols."""

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

import regex

from engines.kokoro.pronunciation.vocabulary import VOCABULARY
from engines.phonemes.phonemizer import SEPARATOR

SPACE: Final = " "
"""Separator of words in a list of phonemes."""
STRESSES: Final = "ˈˌ"
VOWELS: Final = frozenset("aeiouyæɐɑɒɔəɚɛɜɝɞɨɪʉɯʊʌøœɘɵɤᵻ")
_FLAG: Final = regex.compile(r"\([a-z0-9-]+\)")
_UNSTRESSED: Final = str.maketrans("", "", STRESSES)
_FOLDED: Final = {
    "g": "ɡ", "ʍ": "w", "ɫ": "l", "ɬ": "l", "ɝ": "ɜɹ", "ʉ": "u", "ɞ": "ɜ", "ɘ": "ə", "ɵ": "ə",
    "ɱ": "m", "ɦ": "h", "ħ": "h", "ʙ": "b", "ʀ": "ʁ", "ʏ": "y", "ˑ": "ː", "ɓ": "b", "ɗ": "d",
    "ɠ": "ɡ", "ʕ": "ʔ", "ɭ": "l", "ɮ": "l", "ʐ": "ʒ", "ʑ": "ʒ", "ɺ": "ɾ", "ʱ": "ʰ",
}  # fmt: skip
"""IPA letters that the model lacks, and the nearest ones that it has."""


def phonemes_of(said: str) -> list[str]:
    """Parse the output of eSpeak NG to phonemes, with :data:`SPACE` between words."""
    found: list[str] = []
    for word in _FLAG.sub("", said).split():
        own = [phoneme.replace("-", "") for phoneme in word.split(SEPARATOR)]
        own = [phoneme for phoneme in own if phoneme]
        if own:
            found += [SPACE, *own] if found else own
    return found


def bare(phoneme: str) -> str:
    """Return a phoneme without its stress."""
    return phoneme.translate(_UNSTRESSED)


def stress_of(phoneme: str) -> str:
    """Return the stress mark of a phoneme; empty without stress."""
    return next((mark for mark in phoneme if mark in STRESSES), "")


def is_vowel(phoneme: str) -> bool:
    """Whether a phoneme is a vowel, including one with a following consonant (``ɑːɹ``, ``əl``)."""
    return not VOWELS.isdisjoint(bare(phoneme)[:1])


def apart(text: str) -> str:
    """Decompose IPA into letters and diacritics, as in the tables, but keep ç as a letter."""
    return unicodedata.normalize("NFD", text).replace("c\u0327", "ç")


def symbols_of(phonemes: Sequence[str], table: Mapping[str, str]) -> str:
    """Convert phonemes to symbols of the vocabulary.

    Args:
        phonemes: Phonemes, with stress marks before stressed vowels.
        table: Phoneme without stress, decomposed by :func:`apart` → symbols. Others are converted by letters.
    """
    return "".join(_symbols(phoneme, table) for phoneme in phonemes)


def _symbols(phoneme: str, table: Mapping[str, str]) -> str:
    if phoneme == SPACE:
        return SPACE
    plain = bare(phoneme)
    stress = stress_of(phoneme)
    if (known := table.get(plain)) is not None:
        return stress + known if known else ""
    letters = "".join(table.get(letter) or _FOLDED.get(letter, letter) for letter in apart(plain))
    kept = "".join(letter for letter in letters if letter in VOCABULARY and letter not in _MARKS)
    return stress + kept if kept else ""


_MARKS: Final = frozenset(';:,.!?—…"()“” ')
"""Symbols that are not sounds."""


_UNSOUNDED: Final = regex.compile(r"[\u0361\u035c.‿|()]")


def phonemes_of_ipa(ipa: str, table: Mapping[str, str]) -> list[str]:
    """Parse IPA in the usual notation, without separators and with stress marks before syllables.

    Args:
        ipa: IPA, such as ``ˈsiːkwəl``.
        table: Table of the language; its phonemes of several letters are kept together.
    """
    text = _UNSOUNDED.sub("", apart(ipa.replace("'", "ˈ")))
    found: list[str] = []
    stress = ""
    for match in _pattern(tuple(table)).finditer(text):
        piece = match.group()
        if piece in STRESSES:
            stress = piece
        elif piece == SPACE:
            if found and found[-1] != SPACE:
                found.append(SPACE)
        elif stress and is_vowel(piece):
            found.append(stress + piece)
            stress = ""
        else:
            found.append(piece)
    return found


@cache
def _pattern(phonemes: tuple[str, ...]) -> "regex.Pattern[str]":
    """Match one phoneme (the longest known one, else a letter with its diacritics), stress mark or space."""
    known = map(regex.escape, sorted(phonemes, key=len, reverse=True))
    return regex.compile("|".join([*known, r"[^\W\d_]\p{M}*[ːʰʱʲ]*|[ˈˌ ]"]), regex.V1)
