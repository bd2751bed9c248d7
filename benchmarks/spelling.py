"""Spellings that sound alike made one, and how far what was heard is from what was said.

A recogniser writes "25" for "twenty five", "colour" or "color", "note book" or "notebook": none of these is an error
of the voice.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from engines.text.english import English

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_GROUPED: Final = re.compile(r"(?<=\d),(?=\d{2,3}\b)")
_CLOCK: Final = re.compile(r"\b(\d{1,2})[:.](\d{2})\b")
_MONTHS: Final = "(january|february|march|april|may|june|july|august|september|october|november|december)"
_DAYS: Final = (
    (re.compile(rf"\b{_MONTHS} (\d{{1,2}})(?:st|nd|rd|th)?\b"), r"\2th \1"),
    (re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTHS}\b"), r"\1th \2"),
    (re.compile(rf"\bthe (\S+) of {_MONTHS}\b"), r"\1 \2"),
    (re.compile(rf"\bthe (\d+th {_MONTHS})\b"), r"\1"),
)
"""The fourteenth of March, 14 March, March 14th."""
_SIGNS: Final = (
    (re.compile(r"%"), " percent "),
    (re.compile(r"&"), " and "),
    (re.compile(r"°C?"), " degrees "),
)
_MONEY: Final = tuple(
    (re.compile(re.escape(sign) + r"\s?(\d+)"), rf"\1 {name} ")
    for sign, name in (("$", "dollars"), ("£", "pounds"), ("€", "euros"), ("₹", "rupees"))
)
_VARIANTS: Final[dict[str, str]] = {
    "color": "colour", "gray": "grey", "center": "centre", "theater": "theatre", "program": "programme",
    "favorite": "favourite", "neighbor": "neighbour", "neighbors": "neighbours", "honor": "honour", "labor": "labour",
    "harbor": "harbour", "traveled": "travelled", "canceled": "cancelled", "check": "cheque", "tire": "tyre",
    "plow": "plough", "license": "licence", "practice": "practise", "meter": "metre", "meters": "metres",
    "kilometer": "kilometre", "kilometers": "kilometres", "liter": "litre", "liters": "litres", "mom": "mum",
    "ok": "okay", "mr": "mister", "mrs": "missus", "dr": "doctor", "alright": "all right", "sara": "sarah",
    "ana": "anna", "johnston": "johnson", "jonson": "johnson", "percent": "per cent", "i'm": "i am", "didn't": "did not", "that's": "that is", "let's": "let us",
}  # fmt: skip
"""Spellings of one sound, the American one first where there are two; and short forms, which Whisper writes in full."""

_NASALS: Final = re.compile(r"[ङञणनम]\N{DEVANAGARI SIGN VIRAMA}(?=[क-ह])")
_DROPPED: Final = dict.fromkeys(
    map(ord, "\N{DEVANAGARI SIGN NUKTA}\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")
)
_FOLDED: Final = str.maketrans({"ँ": "ं", "ऍ": "ए", "ॅ": "े", "ॉ": "ा", "ऑ": "आ"})
_GLIDES: Final = (("ये", "ए"), ("यी", "ई"))


def english_words(text: str, reference: Sequence[str] = ()) -> list[str]:
    """The words of a text, in one spelling.

    Args:
        text: What was said, or heard.
        reference: The words that were said: a number in digits is read as it stands there, if it does.
    """
    text = _GROUPED.sub("", text.lower().replace("’", "'"))
    text = _CLOCK.sub(r"\1 \2", text)
    for pattern, name in (*_DAYS, *_MONEY, *_SIGNS):
        text = pattern.sub(name, text)
    found: list[str] = []
    words: list[str] = _WORD.findall(text)
    for word in words:
        if word[0].isdigit():
            found += _number(word, reference)
        else:
            found += _VARIANTS.get(word, word).split()
    return found


def _number(word: str, reference: Sequence[str]) -> list[str]:
    """A number's words: as in the reference, where one of its readings stands there."""
    readings: list[list[str]] = [_WORD.findall(reading) for reading in _readings(word)]
    for reading in readings:
        if any(list(reference[at : at + len(reading)]) == reading for at in range(len(reference))):
            return reading
    return readings[0] if readings else [word]


def _readings(word: str) -> Iterator[str]:
    digits = re.match(r"\d+", word)
    if digits is None:
        return
    number, english = int(digits[0]), English()
    if word[digits.end() :] in {"st", "nd", "rd", "th"}:
        yield english.ordinal(number)
    elif digits.end() == len(word):
        yield english.cardinal(number)
        yield english.cardinal(number).replace("hundred ", "hundred and ")
        if number >= 1_000:
            high, low = divmod(number, 100)
            yield f"{english.cardinal(high)} {english.cardinal(low) if low else 'hundred'}"
            yield f"{english.cardinal(high)} hundred"
        yield " ".join(english.cardinal(int(digit)) for digit in digits[0])


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Substitutions, insertions and deletions (Levenshtein); "note book" for "notebook" is none."""
    rows = [list(range(len(heard) + 1))]
    for i, word in enumerate(said, 1):
        row = [i]
        for j, other in enumerate(heard, 1):
            best = min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (word != other))
            if i > 1 and said[i - 2] + word == other:
                best = min(best, rows[i - 2][j - 1])
            if j > 1 and heard[j - 2] + other == word:
                best = min(best, rows[i - 1][j - 2])
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


def hindi_letters(text: str) -> str:
    """The letters of a Hindi text in one spelling, without spaces and punctuation.

    Nukta and chandrabindu are written or left out as people like, as are the nasal before a consonant (हिन्दी, हिंदी)
    and the glide in endings (गये, गए).
    """
    text = unicodedata.normalize("NFD", text).translate(_DROPPED)
    text = _NASALS.sub("ं", unicodedata.normalize("NFC", text)).translate(_FOLDED)
    for glide, plain in _GLIDES:
        text = text.replace(glide, plain)
    return "".join(letter for letter in text if unicodedata.category(letter)[0] in "LMN")


def letter_errors(said: str, heard: str) -> int:
    """Substitutions, insertions and deletions between two strings (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for i, letter in enumerate(said, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (letter != other))
    return row[-1]
