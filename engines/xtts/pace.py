"""How long a text can take to say, from the hurried to the drawn out.

Counted by letter, in the script that each is of: a Hindi sentence holds English words, and a Chinese letter
is a syllable. The bounds are wide on purpose, since whoever is cloned may be a slow or a hurried reader; they
tell speech from no speech, not good speech from bad.

Where they come from: article 1 of the Universal Declaration of Human Rights in twenty languages, read by
eSpeak NG 1.52 at half, normal and twice its speed (seconds a letter, its pauses included), and five
sentences of a human reader of English, 0.069 to 0.090 s a letter. Digits and single letters: numbers and
abbreviations by the same synthesiser.
"""

import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

SETTLING_SECONDS: Final = 1.5
"""Seconds before, within and after an utterance that no letter accounts for: a breath, a last pause."""

PAUSE_SECONDS: Final = 0.75
"""Seconds at punctuation, at most. The human reader's longest was 0.47 s, eSpeak NG's 0.37."""

SPELLED_SECONDS: Final = 0.5
"""Seconds of a capital, at most, since it may be read by its name: `WWW BBC` took 0.34 s each."""

MIN_WORD_SECONDS: Final = 0.15
"""Seconds of the shortest word. `a` and `네` took 0.25 without the pause after them."""

REPEATED: Final = 4
"""Letters of a text that must come again at once before it counts as repeating itself."""


class Letter(NamedTuple):
    """Seconds of one letter.

    Attributes:
        least: Of a hurried reader.
        most: Of a slow one.
    """

    least: float
    most: float


ALPHABET: Final = Letter(0.025, 0.16)
"""Latin, Cyrillic, Greek: measured 0.052 to 0.081, and 0.029 to 0.163 at the extremes of speed."""

ABUGIDA: Final = Letter(0.030, 0.20)
"""Devanagari and its relatives, vowel signs counted: 0.071 to 0.098; 0.041 to 0.191."""

ABJAD: Final = Letter(0.045, 0.30)
"""Arabic and Hebrew, whose short vowels are not written: 0.107; 0.060 to 0.203."""

KANA: Final = Letter(0.045, 0.35)
"""A mora: 0.132; 0.068 to 0.267. Thai and its neighbours (0.107) are counted with them."""

HANGUL: Final = Letter(0.080, 0.50)
"""A syllable: 0.184; 0.105 to 0.366."""

HAN: Final = Letter(0.100, 0.80)
"""A syllable, in Japanese often two: 0.290; 0.143 to 0.590."""

DIGIT: Final = Letter(0.080, 0.90)
"""Where the text front end leaves them to the engine: up to 0.72, six sevens in German."""

_SCRIPTS: Final = (
    (0x0000, ALPHABET),
    (0x0590, ABJAD),
    (0x0900, ABUGIDA),
    (0x0E00, KANA),
    (0x10A0, ALPHABET),
    (0x1100, HANGUL),
    (0x1200, ALPHABET),
    (0x1780, KANA),
    (0x1800, ALPHABET),
    (0x3040, KANA),
    (0x3130, HANGUL),
    (0x3190, HAN),
    (0x31F0, KANA),
    (0x3200, HAN),
    (0xA000, ALPHABET),
    (0xA8E0, ABUGIDA),
    (0xA900, ALPHABET),
    (0xAC00, HANGUL),
    (0xD800, ALPHABET),
    (0xF900, HAN),
    (0xFB00, ALPHABET),
    (0xFB1D, ABJAD),
    (0xFE00, ALPHABET),
    (0xFE70, ABJAD),
    (0xFF00, ALPHABET),
    (0xFF66, KANA),
    (0xFFA0, ALPHABET),
    (0x20000, HAN),
    (0x32400, ALPHABET),
)
"""First code point of each stretch of Unicode's blocks, and how its letters are counted."""

_STARTS: Final = tuple(start for start, _ in _SCRIPTS)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that a text can take.

    Attributes:
        least: Of a hurried reader; less, and something was left out. 0 when there is nothing to say.
        most: Of a slow one; more, and it was not the text alone.
        repeats: Of a slow one, for the longest part of the text that says again what was said just before
            (`ha ha ha`); 0 in most texts.
    """

    least: float
    most: float
    repeats: float


def pace(text: str) -> Pace:
    """How long ``text`` can take; it is what the model gets, with numbers written out where they can be."""
    text = unicodedata.normalize("NFC", text)
    least, most, pausing = 0.0, SETTLING_SECONDS, False
    for char, after in pairwise(text + " "):
        letter = _letter(char)
        if letter is not None:
            least += letter.least
            most += letter.most
            pausing = False
        elif unicodedata.category(char)[0] == "S":
            most += DIGIT.most  # `%` and `+` are read as words
        elif not pausing and unicodedata.category(char)[0] == "P" and not after.isalnum():
            # Once for a run of marks; not where it joins letters, as in `don't`.
            most += PAUSE_SECONDS
            pausing = True
    least = max(least, MIN_WORD_SECONDS) if least else 0.0
    return Pace(least, most, _repeats(text))


def _letter(char: str) -> Letter | None:
    """How a character is counted; ``None`` when it is no letter."""
    category = unicodedata.category(char)
    if category[0] == "N":
        return DIGIT
    script = _SCRIPTS[bisect_right(_STARTS, ord(char)) - 1][1]
    if category[0] == "M":
        # Vowel signs are heard; accents, and the vowels that vocalised Arabic adds, belong to a letter.
        return script if script in (ABUGIDA, KANA) else None
    if category[0] != "L":
        return None
    return Letter(script.least, max(script.most, SPELLED_SECONDS)) if char.isupper() else script


def _repeats(text: str) -> float:
    """Seconds, at most, of the longest stretch of letters that equals what stands just before it."""
    letters = [char for char in text.casefold() if _letter(char) is not None]
    seconds = np.cumsum([0.0, *(letter.most for char in letters if (letter := _letter(char)))])
    codes = np.array([ord(char) for char in letters], np.int64)
    longest = 0.0
    for period in range(1, codes.size // 2 + 1):
        same = codes[period:] == codes[:-period]
        enough = max(REPEATED, period)
        if np.count_nonzero(same) < enough:
            continue
        # Where runs of equal letters start and end; they alternate.
        borders = np.flatnonzero(np.diff(same, prepend=False, append=False))
        starts, ends = borders[::2], borders[1::2]
        repeated = ends - starts >= enough
        spans = seconds[ends[repeated] + period] - seconds[starts[repeated] + period]
        longest = max(longest, float(spans.max(initial=0.0)))
    return longest
