"""Bounds of the time that a text can take to say, from a fast to a slow reader.

Letters are counted by their script: a Hindi sentence contains English words, and a Chinese letter is a
syllable. The bounds are wide on purpose, since a cloned speaker may be a slow or a fast reader; they detect
missing or excess speech, not bad speech.

They are based on article 1 of the Universal Declaration of Human Rights in twenty languages, read by
eSpeak NG 1.52 at half, normal and twice its speed (seconds per letter, including pauses), and on five
sentences of a human reader of English, 0.069 to 0.090 s per letter. For digits and single letters: numbers
and abbreviations, read by the same synthesiser.
"""

import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

SETTLING_SECONDS: Final = 1.5
"""Maximum time in an utterance that is due to no letter, in seconds: a breath, the last pause."""

PAUSE_SECONDS: Final = 0.75
"""Maximum pause at punctuation, in seconds. The human reader's longest was 0.47 s, eSpeak NG's 0.37 s."""

SPELLED_SECONDS: Final = 0.5
"""Maximum duration of a capital, in seconds, which may be spelled: `WWW BBC` took 0.34 s each."""

MIN_WORD_SECONDS: Final = 0.15
"""Minimum duration of a word, in seconds. `a` and `네` took 0.25 s without the pause after them."""

REPEATED: Final = 4
"""Minimum number of letters that immediately repeat, for a text to count as repetitive."""


class Letter(NamedTuple):
    """Duration of one letter, in seconds.

    Attributes:
        least: Duration for a fast reader.
        most: Duration for a slow reader.
    """

    least: float
    most: float


ALPHABET: Final = Letter(0.025, 0.16)
"""Latin, Cyrillic, Greek: measured 0.052 to 0.081 s at normal speed, and 0.029 to 0.163 s at the extremes."""

ABUGIDA: Final = Letter(0.030, 0.20)
"""Devanagari and its relatives, counting vowel signs: 0.071 to 0.098 s; 0.041 to 0.191 s at the extremes."""

ABJAD: Final = Letter(0.045, 0.30)
"""Arabic and Hebrew, whose short vowels are not written: 0.107 s; 0.060 to 0.203 s at the extremes."""

KANA: Final = Letter(0.045, 0.35)
"""A mora: 0.132 s; 0.068 to 0.267 s at the extremes. Also used for Thai and its neighbours (0.107 s)."""

HANGUL: Final = Letter(0.080, 0.50)
"""A syllable: 0.184 s; 0.105 to 0.366 s at the extremes."""

HAN: Final = Letter(0.100, 0.80)
"""A syllable, in Japanese often two: 0.290 s; 0.143 to 0.590 s at the extremes."""

DIGIT: Final = Letter(0.080, 0.90)
"""A digit that the text front end leaves to the engine: up to 0.72 s, for six sevens in German."""

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
"""First code point of each range of Unicode blocks, with the duration of its letters."""

_STARTS: Final = tuple(start for start, _ in _SCRIPTS)


@dataclass(frozen=True, slots=True)
class Pace:
    """Bounds of the time that a text can take, in seconds.

    Attributes:
        least: Time of a fast reader; in less, something was omitted. 0 if there is nothing to say.
        most: Time of a slow reader; in more, more than the text was said.
        repeats: Time of a slow reader for the longest part of the text that repeats the part just before it
            (`ha ha ha`); 0 for most texts.
    """

    least: float
    most: float
    repeats: float


def pace(text: str) -> Pace:
    """Compute the bounds for ``text``, the model's input, with numbers written out where possible."""
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
            # Once per run of marks, and not for a mark inside a word, as in `don't`.
            most += PAUSE_SECONDS
            pausing = True
    least = max(least, MIN_WORD_SECONDS) if least else 0.0
    return Pace(least, most, _repeats(text))


def _letter(char: str) -> Letter | None:
    """Return the duration of a character; ``None`` if it is not counted as a letter."""
    category = unicodedata.category(char)
    if category[0] == "N":
        return DIGIT
    script = _SCRIPTS[bisect_right(_STARTS, ord(char)) - 1][1]
    if category[0] == "M":
        # Vowel signs count; accents, and the vowel marks of vocalised Arabic, belong to a letter.
        return script if script in (ABUGIDA, KANA) else None
    if category[0] != "L":
        return None
    return Letter(script.least, max(script.most, SPELLED_SECONDS)) if char.isupper() else script


def _repeats(text: str) -> float:
    """Compute the maximum duration of the longest run of letters that repeats the letters just before it."""
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
