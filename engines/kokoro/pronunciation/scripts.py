"""The letters that eSpeak NG reads, whatever the language, and those that it would name one by one."""

import unicodedata
from typing import Final

import regex

_READ: Final = (
    *("Latin", "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Tamil", "Kannada", "Malayalam", "Sinhala"),
    *("Hangul", "Georgian", "Common", "Inherited"),
)
"""Scripts that eSpeak NG reads in every voice, by its voice for the script's language."""
_KNOWN: Final = "".join(rf"\p{{Script_Extensions={script}}}" for script in _READ)
_GREEK: Final = r"\p{Script=Greek}"
FOREIGN: Final = (
    rf"(?:(?<={_GREEK}){_GREEK}|{_GREEK}(?={_GREEK})"
    rf"|[\p{{L}}\p{{M}}\p{{Nl}}\p{{No}}--[{_KNOWN}{_GREEK}]]|[\u2135-\u2138])"
)
"""A letter that is not read, as a regular expression (V1). eSpeak NG would say “Chinese letter”.
A Greek letter that stands alone is a symbol with a name."""
_FOREIGN: Final = regex.compile(FOREIGN, regex.V1)
_STYLED: Final = regex.compile(
    r"[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\u24b6-\u24e9\U0001d400-\U0001d7ff]"
    r"|[\u2102-\u213f--[\P{L}\u2126\u2135-\u2138]]",
    regex.V1,
)
"""Full-width, circled and mathematical letters, and digits."""


def has_foreign(text: str) -> bool:
    """Whether the text has letters that are not read."""
    return _FOREIGN.search(text) is not None


def legible(text: str) -> str:
    """The text as eSpeak NG reads it: without foreign letters, and styled letters as plain ones."""
    if text.isascii():
        return text
    text = _FOREIGN.sub("", text)
    return _STYLED.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text)
