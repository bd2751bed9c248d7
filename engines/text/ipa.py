"""Words with a pronunciation in IPA, in the front end and in the text for an engine.

Such a word is marked in the text as ``OPEN word SAID ipa CLOSE``. The three marks are private-use characters,
which are removed from all input, so that clients cannot forge them. Engines that support IPA
(``capabilities.ipa``) receive the marked words in ``Utterance.text``; others receive only the words.
"""

from collections.abc import Callable
from typing import Final

import regex

from engines.text.errors import TextError
from engines.text.traced import Traced

OPEN: Final = "\ue000"
SAID: Final = "\ue001"
CLOSE: Final = "\ue002"
MAX_IPA: Final = 200
"""Maximum length of a word's IPA in characters."""
PATTERN: Final = f"{OPEN}(?P<ipa_word>[^{OPEN}-{CLOSE}]*){SAID}(?P<ipa_said>[^{OPEN}-{CLOSE}]*){CLOSE}"
"""Regular expression of a marked word."""

_SPELLED: Final = regex.compile(PATTERN)
_MARKS: Final = regex.compile(f"[{OPEN}-{CLOSE}]")
_HIDDEN: Final = 0xE100
_HIDDEN_LAST: Final = 0xF8FF
_PLACEHOLDER: Final = regex.compile(f"[{chr(_HIDDEN)}-{chr(_HIDDEN_LAST)}]")
_WRITTEN: Final = regex.compile(r"/(?P<ipa>[^/]+)/")
_ALLOWED: Final = regex.compile(r"[\p{L}\p{M}\p{Lm}\p{Sk}ˈˌːˑ'.‿|() -]+")
_SOUND: Final = regex.compile(r"\p{L}")


def from_spoken(spoken: str, param: str = "lexicon") -> str | None:
    """Return the IPA of a spoken form between slashes, ``/…/``; ``None`` if the form is in words.

    Raises:
        TextError: The text between the slashes is not IPA, or too long.
    """
    match = _WRITTEN.fullmatch(spoken.strip())
    return checked(match["ipa"], param) if match else None


def checked(ipa: str, param: str) -> str:
    """Check IPA, and return it without syllable marks.

    Args:
        ipa: The input.
        param: The request field that contains it.

    Raises:
        TextError: The input is not IPA, or too long.
    """
    ipa = " ".join(ipa.split())
    if len(ipa) > MAX_IPA or not _ALLOWED.fullmatch(ipa) or not _SOUND.search(ipa):
        message = f"'{ipa[:40]}' is not IPA: 1 to {MAX_IPA} of its letters and marks, for example ˈsiːkwəl."
        raise TextError(message, param)
    return regex.sub(r"[.|() -]", "", ipa)


def marked(word: str, ipa: str) -> str:
    """Return a word marked with its IPA."""
    return f"{OPEN}{unmarked(word)}{SAID}{ipa}{CLOSE}"


def unmarked(text: str) -> str:
    """Remove the three marks from a text."""
    return _MARKS.sub("", text)


def without_ipa(text: str) -> str:
    """Replace marked words by the words."""
    return _SPELLED.sub(lambda match: match["ipa_word"], text) if OPEN in text else text


def said(text: str) -> str:
    """Replace marked words by their IPA."""
    return _SPELLED.sub(lambda match: match["ipa_said"], text) if OPEN in text else text


def cleaned(text: str, clean: Callable[[str], str]) -> str:
    """Clean a text, except for its marked words.

    Args:
        text: The text, whose marks are trusted.
        clean: Cleans text without marks.
    """
    parts: list[str] = []
    done = 0
    for match in _SPELLED.finditer(text):
        parts += (clean(text[done : match.start()]), match.group())
        done = match.end()
    return "".join((*parts, clean(text[done:])))


def traced(text: str) -> Traced:
    """Return a text with marked words, traced to the text of :func:`without_ipa`."""
    if OPEN not in text:
        return Traced.of(text)
    starts: list[int] = []
    ends: list[int] = []
    at = done = 0
    for match in _SPELLED.finditer(text):
        before, length = match.start() - done, len(match["ipa_word"])
        starts += [*range(at, at + before), *[at + before] * len(match.group())]
        ends += [*range(at + 1, at + before + 1), *[at + before + length] * len(match.group())]
        at += before + length
        done = match.end()
    rest = len(text) - done
    return Traced(text, [*starts, *range(at, at + rest)], [*ends, *range(at + 1, at + rest + 1)])


class Hidden:
    """Hides marked words behind one private-use character each, so that other steps ignore them."""

    def __init__(self) -> None:
        self._words: list[str] = []

    def hide(self, text: Traced) -> Traced:
        """Replace marked words by placeholders; beyond the number of placeholders, by the words."""
        return text.replaced(_SPELLED, self._placeholder) if OPEN in text.text else text

    def show(self, text: Traced) -> Traced:
        """Replace placeholders by the marked words."""
        if not self._words:
            return text
        return text.replaced(_PLACEHOLDER, self._word)

    def _word(self, match: "regex.Match[str]") -> str:
        number = ord(match.group()) - _HIDDEN
        return self._words[number] if number < len(self._words) else ""

    def _placeholder(self, match: "regex.Match[str]") -> str:
        if _HIDDEN + len(self._words) > _HIDDEN_LAST:
            return match["ipa_word"]
        self._words.append(match.group())
        return chr(_HIDDEN + len(self._words) - 1)


def inside(text: str, start: int, at: int) -> bool:
    """Whether index ``at`` is within a marked word; ``start`` is an index before it that is not."""
    return text.rfind(OPEN, start, at) > text.rfind(CLOSE, start, at)
