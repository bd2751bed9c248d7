"""Conversion of eSpeak NG's IPA for American English to ARPAbet, as in the CMU Pronouncing Dictionary."""

from typing import Final

VOWELS: Final = frozenset(
    ["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"]
)
CONSONANTS: Final = frozenset(
    [
        "B",
        "CH",
        "D",
        "DH",
        "F",
        "G",
        "HH",
        "JH",
        "K",
        "L",
        "M",
        "N",
        "NG",
        "P",
        "R",
        "S",
        "SH",
        "T",
        "TH",
        "V",
        "W",
        "Y",
        "Z",
        "ZH",
    ]
)

SEPARATOR: Final = "_"
"""Separator that eSpeak NG is told to put between phonemes."""
_PRIMARY, _SECONDARY = "ˈ", "ˌ"
_STRESSES: Final = str.maketrans("", "", _PRIMARY + _SECONDARY)

_PHONES: Final = {
    "ɑː": "AA",
    "ɑ": "AA",
    "ɒ": "AA",
    "aː": "AA",
    "a": "AA",
    "æ": "AE",
    "ʌ": "AH",
    "ə": "AH",
    "ɐ": "AH",
    "ɔː": "AO",
    "ɔ": "AO",
    "aʊ": "AW",
    "aɪ": "AY",
    "ɛ": "EH",
    "e": "EH",
    "ɜː": "ER",
    "ɚ": "ER",
    "ɝ": "ER",
    "eɪ": "EY",
    "eː": "EY",
    "ɪ": "IH",
    "ᵻ": "IH",
    "i": "IY",
    "iː": "IY",
    "oʊ": "OW",
    "oː": "OW",
    "o": "OW",
    "ɔɪ": "OY",
    "ʊ": "UH",
    "uː": "UW",
    "u": "UW",
    "y": "UW",
    "yː": "UW",
    "ø": "ER",
    "øː": "ER",
    "ɑːɹ": "AA R",
    "ɔːɹ": "AO R",
    "ʊɹ": "UH R",
    "ɪɹ": "IH R",
    "ɛɹ": "EH R",
    "oːɹ": "AO R",
    "aɪɚ": "AY ER",
    "aɪə": "AY AH",
    "iə": "IY AH",
    "əl": "AH L",
    "n̩": "AH N",
    "m̩": "AH M",
    "l̩": "AH L",
    "b": "B",
    "tʃ": "CH",
    "d": "D",
    "ð": "DH",
    "f": "F",
    "ɡ": "G",
    "g": "G",
    "h": "HH",
    "dʒ": "JH",
    "k": "K",
    "x": "K",
    "l": "L",
    "ɬ": "L",
    "ɫ": "L",
    "m": "M",
    "n": "N",
    "ŋ": "NG",
    "ɲ": "N Y",
    "nʲ": "N Y",
    "p": "P",
    "ɹ": "R",
    "r": "R",
    "s": "S",
    "ʃ": "SH",
    "t": "T",
    "ɾ": "T",
    "ʔ": "T",
    "θ": "TH",
    "v": "V",
    "w": "W",
    "ʍ": "W",
    "j": "Y",
    "z": "Z",
    "ʒ": "ZH",
    "ç": "HH",
    "ʋ": "V",
    "β": "V",
}
"""Phonemes of eSpeak NG 1.52 in the words of the CMU dictionary, and others that its English may borrow."""


def from_ipa(ipa: str) -> tuple[str, ...]:
    """Convert the IPA of a word to phones, with stress after each vowel: ``("HH", "AH0", "L", "OW1")``.

    The dictionary lists words in isolation, but eSpeak NG does not stress function words; so the strongest
    vowel of a word gets primary stress, unless it is a single schwa as in ``the``. Phonemes that are not
    English are omitted.

    Args:
        ipa: eSpeak NG's phonemes of one word, separated by :data:`SEPARATOR`.
    """
    phones: list[str] = []
    stresses: list[int] = []
    for phoneme in ipa.replace(" ", SEPARATOR).split(SEPARATOR):
        stress = 1 if _PRIMARY in phoneme else 2 if _SECONDARY in phoneme else 0
        for phone in _PHONES.get(phoneme.translate(_STRESSES), "").split():
            phones.append(phone)
            stresses.append(stress if phone in VOWELS else 0)
    _stress_alone(ipa, phones, stresses)
    return tuple(
        f"{phone}{stress}" if phone in VOWELS else phone
        for phone, stress in zip(phones, stresses, strict=True)
    )


def _stress_alone(ipa: str, phones: list[str], stresses: list[int]) -> None:
    if 1 in stresses:
        return
    vowels = [index for index, phone in enumerate(phones) if phone in VOWELS]
    if 2 in stresses:  # noqa: PLR2004 - the secondary stress, by its number in the dictionary
        stresses[stresses.index(2)] = 1
    elif len(vowels) == 1 and "ə" not in ipa:
        stresses[vowels[0]] = 1
