"""Voices that speak any language: OpenAI's names, mapped to variants of eSpeak NG.

They were chosen from the variants of eSpeak NG 1.52 that an offline speech recogniser understands best (each
better than the plain voice), that do not clip, and that differ in timbre, pitch or liveliness.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Character:
    """A voice that speaks any language.

    Attributes:
        id: Name in requests.
        gender: ``female``, ``male`` or ``neutral``.
        variant: Name of a file in ``voices/!v``.
        pitch: Pitch from 0 to 99; 50 is the variant's own.
        pitch_range: Pitch range from 0 (monotone) to 99; 50 is the variant's own.
    """

    id: str
    gender: str
    variant: str
    pitch: int
    pitch_range: int


CHARACTERS: Final = (
    Character("alloy", "neutral", "f2", 25, 45),
    Character("ash", "male", "m6", 50, 50),
    Character("ballad", "male", "miguel", 45, 65),
    Character("coral", "female", "f2", 50, 60),
    Character("echo", "male", "edward2", 50, 45),
    Character("fable", "male", "michel", 62, 65),
    Character("onyx", "male", "benjamin", 30, 40),
    Character("nova", "female", "f5", 50, 55),
    Character("sage", "female", "f1", 40, 40),
    Character("shimmer", "female", "f5", 65, 70),
    Character("verse", "male", "m5", 55, 75),
    Character("marin", "female", "f3", 45, 50),
    Character("cedar", "male", "adam", 42, 50),
)
