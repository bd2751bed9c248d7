"""Words with a pronunciation in IPA, in the front end and on their way to an engine.

Such a word stands in the text as ``OPEN word SAID ipa CLOSE``. The three are private characters, which
cleaning removes from all input, so nobody can forge them. Engines that support IPA
(``capabilities.ipa``) find them in ``Utterance.text``; others get only the word.
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
"""Characters of the IPA of one word."""
PATTERN: Final = f"{OPEN}(?P<ipa_word>[^{OPEN}-{CLOSE}]*){SAID}(?P<ipa_said>[^{OPEN}-{CLOSE}]*){CLOSE}"
"""A word with its IPA, as a regular expression."""

_SPELLED: Final = regex.compile(PATTERN)
_MARKS: Final = regex.compile(f"[{OPEN}-{CLOSE}]")
_HIDDEN: Final = 0xE100
_HIDDEN_LAST: Final = 0xF8FF
_PLACEHOLDER: Final = regex.compile(f"[{chr(_HIDDEN)}-{chr(_HIDDEN_LAST)}]")
_WRITTEN: Final = regex.compile(r"/(?P<ipa>[^/]+)/")
_ALLOWED: Final = regex.compile(r"[\p{L}\p{M}\p{Lm}\p{Sk}ˈˌːˑ'.‿|() -]+")
_SOUND: Final = regex.compile(r"\p{L}")


def from_spoken(spoken: str, param: str = "lexicon") -> str | None:
    """The IPA of a spoken form written ``/…/``; ``None`` if it is words.

    Raises:
        TextError: The text between the slashes is not IPA, or too long.
    """
    match = _WRITTEN.fullmatch(spoken.strip())
    return checked(match["ipa"], param) if match else None


def checked(ipa: str, param: str) -> str:
    """Valid IPA, without its syllable marks.

    Args:
        ipa: The input.
        param: The request field it stands in.

    Raises:
        TextError: It is not IPA, or too long.
    """
    ipa = " ".join(ipa.split())
    if len(ipa) > MAX_IPA or not _ALLOWED.fullmatch(ipa) or not _SOUND.search(ipa):
        message = f"'{ipa[:40]}' is not IPA: 1 to {MAX_IPA} of its letters and marks, for example ˈsiːkwəl."
        raise TextError(message, param)
    return regex.sub(r"[.|() -]", "", ipa)


def marked(word: str, ipa: str) -> str:
    """A word with its IPA, as it stands in a text."""
    return f"{OPEN}{unmarked(word)}{SAID}{ipa}{CLOSE}"


def unmarked(text: str) -> str:
    """The text without the private characters that mark a word."""
    return _MARKS.sub("", text)


def without_ipa(text: str) -> str:
    """The text with each marked word alone."""
    return _SPELLED.sub(lambda match: match["ipa_word"], text) if OPEN in text else text


def said(text: str) -> str:
    """The text with what is said of each marked word alone."""
    return _SPELLED.sub(lambda match: match["ipa_said"], text) if OPEN in text else text


def cleaned(text: str, clean: Callable[[str], str]) -> str:
    """The text cleaned, except where a word is marked.

    Args:
        text: What stands in it of the three private characters marks words.
        clean: Cleans text that has none of them.
    """
    parts: list[str] = []
    done = 0
    for match in _SPELLED.finditer(text):
        parts += (clean(text[done : match.start()]), match.group())
        done = match.end()
    return "".join((*parts, clean(text[done:])))


def traced(text: str) -> Traced:
    """A text with marked words, traced to the same without the marks."""
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
    """Marked words, replaced by one private character each, so that other steps ignore them."""

    def __init__(self) -> None:
        self._words: list[str] = []

    def hide(self, text: Traced) -> Traced:
        """The text with a placeholder for each marked word."""
        return text.replaced(_SPELLED, self._placeholder) if OPEN in text.text else text

    def show(self, text: Traced) -> Traced:
        """The text with the marked words in their places again."""
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
    """Whether a cut at ``at`` would go through a marked word; ``start`` is an index before, and in none."""
    return text.rfind(OPEN, start, at) > text.rfind(CLOSE, start, at)
