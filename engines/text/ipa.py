"""Words whose sound is given in IPA, on their way through the front end and to an engine.

Such a word stands in the text as ``OPEN word SAID ipa CLOSE``. The three are private characters, which
cleaning takes out of every text that comes in, so nobody can forge them. Engines that take IPA
(``capabilities.ipa``) find them in ``Utterance.text``; for others the word stands there alone.
"""

from collections.abc import Sequence
from typing import Final

import regex

from engines.text.passage import TextError

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
    """The IPA of a spoken form written ``/…/``; ``None`` where it is words.

    Raises:
        TextError: What stands between the slashes is no IPA, or too long.
    """
    match = _WRITTEN.fullmatch(spoken.strip())
    return checked(match["ipa"], param) if match else None


def checked(ipa: str, param: str) -> str:
    """IPA that may stand in a text, without what only shows its syllables.

    Args:
        ipa: As somebody wrote it.
        param: The request field it stands in.

    Raises:
        TextError: It is no IPA, or too long.
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


def hide(text: str) -> tuple[str, Sequence[str]]:
    """The text with one private character for each marked word, and what they stand for."""
    hidden: list[str] = []

    def placeholder(match: "regex.Match[str]") -> str:
        if _HIDDEN + len(hidden) > _HIDDEN_LAST:
            return match["ipa_word"]
        hidden.append(match.group())
        return chr(_HIDDEN + len(hidden) - 1)

    return (_SPELLED.sub(placeholder, text), hidden) if OPEN in text else (text, hidden)


def show(text: str, hidden: Sequence[str]) -> str:
    """The text of :func:`hide` with the marked words in their places."""
    if not hidden:
        return text
    return _PLACEHOLDER.sub(lambda match: hidden[ord(match.group()) - _HIDDEN], text)


def inside(text: str, at: int) -> bool:
    """Whether a cut at this index would go through a marked word."""
    return text.rfind(OPEN, 0, at) > text.rfind(CLOSE, 0, at)
