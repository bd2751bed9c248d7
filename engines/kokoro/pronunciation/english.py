"""English: eSpeak NG's phonemes as the symbols that the model was trained on.

Those are the ones of the author's pronouncing library, misaki: one letter for a diphthong or an affricate,
``ᵊ`` before a syllabic consonant, and no length in American English.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import regex

from engines.kokoro.pronunciation.phonemes import symbols_of

_SHARED: Final = {
    "eɪ": "A", "aɪ": "I", "aʊ": "W", "ɔɪ": "Y", "dʒ": "ʤ", "tʃ": "ʧ", "əl": "ᵊl", "n̩": "ᵊn",
    "m̩": "ᵊm", "l̩": "ᵊl", "r": "ɹ", "x": "k", "ç": "h", "ɬ": "l", "ɐ": "ə", "e": "A", "ʔ": "t",
    "aɪə": "Iə", "aʊə": "Wə", "œ": "ɜ", "ø": "ɜ", "y": "u", "eː": "A", "tʰ": "t", "dʰ": "d",
    "ɖ": "d", "ʈ": "t", "t̪": "t", "d̪": "d", "ʋ": "v", "c": "ʧ", "ɟ": "ʤ", "ɲ": "nj", "ɳ": "n",
    "r.": "ɹ", "q": "k", "ɣ": "ɡ", "ʂ": "ʃ", "ʰ": "", "ʲ": "j", "\u0303": "n", "β": "v", "ʁ": "ɹ",
    "χ": "k",
}  # fmt: skip
_AMERICAN: Final = _SHARED | {
    "oʊ": "O", "əʊ": "O", "ɚ": "əɹ", "ɚɹ": "əɹ", "ɜː": "ɜɹ", "ɜːɹ": "ɜɹ", "aɪɚ": "Iəɹ",
    "aʊɚ": "Wəɹ", "ɾ": "T", "ɪə": "iə", "iə": "iə", "ː": "", "iː": "i", "uː": "u", "ɑː": "ɑ",
    "ɔː": "ɔ", "ɑːɹ": "ɑɹ", "ɔːɹ": "ɔɹ", "oːɹ": "ɔɹ", "oː": "O", "o": "O", "a": "æ", "aː": "ɑ",
    "ɒ": "ɑ", "eə": "ɛɹ",
}  # fmt: skip
_BRITISH: Final = _SHARED | {
    "əʊ": "Q", "oʊ": "Q", "eə": "ɛː", "iə": "ɪə", "ɚ": "ə", "ɾ": "t", "oː": "ɔː", "o": "Q",
    "æ": "a", "ᵻ": "ɪ", "aː": "ɑː", "ɑ": "ɒ", "ɑː": "ɑː",
}  # fmt: skip
_REDUCED: Final = regex.compile("ᵻ(?![zd](?: |$))")
"""The author's dictionary has this vowel in endings as in ``boxes`` and ``wanted`` alone."""
_ARTICLE: Final = "ɐ"
"""The model's symbols for ``a``, used for nothing else."""


def american(phonemes: Sequence[str]) -> str:
    """Symbols of American English."""
    if list(phonemes) == [_ARTICLE]:
        return _ARTICLE
    symbols = symbols_of(phonemes, _AMERICAN).replace("ɹɹ", "ɹ")
    return _REDUCED.sub("ə", symbols)


def british(phonemes: Sequence[str]) -> str:
    """Symbols of British English."""
    return _ARTICLE if list(phonemes) == [_ARTICLE] else symbols_of(phonemes, _BRITISH)


AMERICAN: Final[Mapping[str, str]] = _AMERICAN
BRITISH: Final[Mapping[str, str]] = _BRITISH
