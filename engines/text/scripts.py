"""Inference of a sentence's language from its script."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import regex

SCRIPTS: Final[dict[str, tuple[str, ...]]] = {
    "Devanagari": ("hi", "mr", "ne", "kok", "sa", "bho", "mai"),
    "Bengali": ("bn", "as", "bpy"),
    "Gurmukhi": ("pa",),
    "Gujarati": ("gu",),
    "Oriya": ("or",),
    "Tamil": ("ta",),
    "Telugu": ("te",),
    "Kannada": ("kn",),
    "Malayalam": ("ml",),
    "Sinhala": ("si",),
    "Arabic": ("ur", "ar", "fa", "sd", "ug"),
    "Cyrillic": ("ru", "uk", "bg", "sr", "mk", "be", "kk", "ky", "tt", "ba", "cv"),
    "Greek": ("el", "grc"),
    "Hebrew": ("he",),
    "Han": ("cmn", "zh", "yue", "hak", "ja"),
    "Hiragana": ("ja",),
    "Katakana": ("ja",),
    "Hangul": ("ko",),
    "Thai": ("th",),
    "Georgian": ("ka",),
    "Armenian": ("hy", "hyw"),
    "Ethiopic": ("am", "ti"),
    "Myanmar": ("my", "shn"),
}
"""Languages by script, most likely first. Other scripts count as Latin."""

_WORD: Final = regex.compile(r"[\p{L}\p{M}]+")
_PATTERNS: Final = {name: regex.compile(rf"\p{{Script={name}}}") for name in SCRIPTS}
_LATIN: Final = "Latin"

MINORITY: Final = 1 / 3
"""Minimum fraction of words in a script other than Latin that determines the sentence's language.

Low, because Hindi text often contains many English words.
"""


def language_of(sentence: str, languages: tuple[str, ...], fallback: str | None = None) -> str:
    """Return the BCP-47 tag of a sentence's language.

    Args:
        sentence: Plain text.
        languages: Tags to choose from, preferred ones first; empty for any language.
        fallback: Result for a sentence without letters.
    """
    script = _script_of(sentence)
    if script is None and fallback is not None:
        return fallback
    return _choose(script or _LATIN, languages)


def readable(sentence: str, languages: Iterable[str]) -> bool:
    """Whether one of the languages uses the script of a sentence; always true for Latin."""
    script = _script_of(sentence) or _LATIN
    return script == _LATIN or any(primary(tag) in SCRIPTS[script] for tag in languages)


def primary(tag: str) -> str:
    """Return the primary language subtag of a BCP-47 tag, in lower case."""
    return tag.partition("-")[0].lower()


def _script_of(sentence: str) -> str | None:
    """Return the script that determines the language of a sentence; ``None`` without letters."""
    words = Counter(_script(word) for word in _WORD.findall(sentence))
    others = Counter({script: count for script, count in words.items() if script != _LATIN})
    if others:
        likeliest, count = others.most_common(1)[0]
        if count >= MINORITY * words.total():
            return likeliest
    return _LATIN if words else None


def _choose(script: str, languages: tuple[str, ...]) -> str:
    if script == _LATIN:
        elsewhere = {language for tags in SCRIPTS.values() for language in tags}
        wanted = [tag for tag in languages if primary(tag) not in elsewhere]
        return wanted[0] if wanted else languages[0] if languages else "en"
    wanted = [tag for tag in languages if primary(tag) in SCRIPTS[script]]
    return wanted[0] if wanted else languages[0] if languages else SCRIPTS[script][0]


def _script(word: str) -> str:
    if word.isascii():
        return _LATIN
    for name, pattern in _PATTERNS.items():
        if pattern.match(word):
            return name
    return _LATIN
