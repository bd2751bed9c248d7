"""Scripts that eSpeak NG reads in every language, and those whose letters it would only name."""

import unicodedata
from typing import Final

import regex

_READ: Final = (
    *("Latin", "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Tamil", "Kannada", "Malayalam", "Sinhala"),
    *("Hangul", "Georgian", "Common", "Inherited"),
)
"""Scripts that eSpeak NG reads in every voice, with its voice for the script's language."""
_KNOWN: Final = "".join(rf"\p{{Script_Extensions={script}}}" for script in _READ)
_GREEK: Final = r"\p{Script=Greek}"
FOREIGN: Final = (
    rf"(?:(?<={_GREEK}){_GREEK}|{_GREEK}(?={_GREEK})"
    rf"|[\p{{L}}\p{{M}}\p{{Nl}}\p{{No}}--[{_KNOWN}{_GREEK}]]|[\u2135-\u2138])"
)
"""Regular expression (V1) of a letter that is not read. eSpeak NG would say “Chinese letter”.

A single Greek letter is read, as a symbol with a name.
"""
_FOREIGN: Final = regex.compile(FOREIGN, regex.V1)
_STYLED: Final = regex.compile(
    r"[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\u24b6-\u24e9\U0001d400-\U0001d7ff]"
    r"|[\u2102-\u213f--[\P{L}\u2126\u2135-\u2138]]",
    regex.V1,
)
"""Full-width, circled and mathematical letters and digits."""


def has_foreign(text: str) -> bool:
    """Whether the text has letters that are not read."""
    return _FOREIGN.search(text) is not None


def legible(text: str) -> str:
    """Convert a text for eSpeak NG: remove foreign letters, and replace styled letters by plain ones."""
    if text.isascii():
        return text
    text = _FOREIGN.sub("", text)
    return _STYLED.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text)
