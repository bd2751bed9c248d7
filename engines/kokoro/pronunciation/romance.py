"""Spanish, French, Italian and Brazilian Portuguese."""

from collections.abc import Mapping, Sequence
from typing import Final

from engines.kokoro.pronunciation.phonemes import symbols_of

ROMANCE: Final[Mapping[str, str]] = {
    "aɪ": "I", "aʊ": "W", "dz": "ʣ", "dʒ": "ʤ", "eɪ": "A", "oʊ": "O", "əʊ": "Q", "ts": "ʦ",
    "tʃ": "ʧ", "ɔɪ": "Y", "tsː": "ʦː", "dzː": "ʣː", "tʃː": "ʧː", "dʒː": "ʤː",
}  # fmt: skip
"""The model was trained on eSpeak NG's phonemes, except that affricates and diphthongs are one letter."""


def romance(phonemes: Sequence[str]) -> str:
    """Convert phonemes to symbols of a Romance language."""
    return symbols_of(phonemes, ROMANCE)
