"""Splitting of a text into words and punctuation."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import regex

from engines.kokoro.pronunciation.scripts import FOREIGN
from engines.text import ipa
from engines.text.sentences import sentences

STOPS: Final = ",—:;.…!?"
"""Marks that make a pause, weakest first."""
_ELLIPSIS: Final = regex.compile(r"\.{2,}|…+")
_WORD: Final = regex.compile(
    rf"(?P<spelled>{ipa.PATTERN})"
    r"|(?P<word>(?:'(?=(?i:em|tis|twas|cause|til|n)\b))?"
    rf"(?!{FOREIGN})[\p{{L}}\p{{M}}\p{{N}}\p{{Sc}}\p{{Sm}}\p{{So}}%#@&§--[<>|~^]]"
    rf"(?:(?!{FOREIGN})[\p{{L}}\p{{M}}\p{{N}}\p{{Sc}}\p{{Sm}}\p{{So}}%#@&§\u200c\u200d\u0970--[<>|~^]]"
    r"|['’](?=\p{L})|[-‐‑](?=[\p{L}\p{N}])"
    r"|(?<=\d)[.,:](?=\d)|(?<=(?<!\p{L})\p{L})\.(?=\p{L}(?!\p{L}))|(?<=\p{Ll}|\p{Lu}{2})\.(?=\p{Ll}|\p{Lu}{2})"
    r"|(?<=(?<!\p{L})\p{Lu}\p{Ll})\.(?=\p{Lu}(?!\p{L})))*)"
    r"|(?P<mark>\S)",
    regex.V1,
)
_MARKS: Final = {mark: mark for mark in STOPS} | {
    "।": ".", "॥": ".", "。": ".", "؟": "?", "‽": "?", "？": "?", "！": "!", "，": ",", "、": ",", "،": ",",
    "؛": ";", "；": ";", "：": ":", "–": "—", "―": "—",
}  # fmt: skip
_OPENING: Final = {"(": "(", "[": "(", "{": "(", "“": "“", "„": "“", "«": "“", "‟": "“"}
_CLOSING: Final = {")": ")", "]": ")", "}": ")", "”": "”", "»": "”"}
_UNSPACED: Final = regex.compile(r"(?<=\p{Ll})\.(?=\p{Lu}(?:[\p{Ll}'’\s]|$))")
"""A full stop without a space after it, if it ends a sentence: ``done.Now``."""
_ABBREVIATION: Final = 5
"""Maximum number of letters in an abbreviation, whose full stop belongs to the word."""


@dataclass(slots=True)
class Word:
    """A word, with the marks around it.

    Attributes:
        text: Its characters in the text.
        offset: Index of the first one.
        ipa: Pronunciation given in the text; empty if none is given.
        before: Opening marks, as symbols, each once.
        after: Closing marks and its stop, as symbols, each once.
        abbreviated: Whether an abbreviation's full stop follows, which is not a pause.
    """

    text: str
    offset: int
    ipa: str = ""
    before: str = ""
    after: str = ""
    abbreviated: bool = False

    @property
    def stop(self) -> str:
        """The mark after the word that makes a pause; empty without a pause."""
        return max((mark for mark in self.after if mark in STOPS), key=STOPS.index, default="")


def words(text: str) -> list[Word]:
    """Split a text into words, each with the marks around it.

    Marks before the first word are ignored, and so are letters of unsupported scripts.
    """
    found: list[Word] = []
    opening = ""
    ends = set(_sentence_ends(text))
    for match in _WORD.finditer(text):
        if mark := match["mark"]:
            if opening and _closes(text, match.start(), mark):
                opening = opening[:-1]  # no words between the pair
                continue
            last = found[-1] if found else None
            opening = with_mark(opening, _marked(text, match.start(), mark, last, ends))
            continue
        offset, spoken, said = match.start(), match.group(), ""
        if match["spelled"]:
            offset, spoken, said = match.start() + 1, match["ipa_word"], match["ipa_said"]
        found.append(Word(spoken, offset, said, opening))
        opening = ""
    return found


def with_mark(marks: str, mark: str) -> str:
    """Add a mark to those around a word, each only once, since runs such as ``((((`` may be long."""
    return marks if mark in marks else marks + mark


def _marked(text: str, at: int, mark: str, last: Word | None, ends: set[int]) -> str:
    """Add a closing mark or stop to the word before it; return the symbol of an opening mark, else ``""``."""
    if mark in _OPENING:
        return _OPENING[mark]
    closes = _closes(text, at, mark)
    if mark == '"' and not closes:
        return "“"
    if last is None:
        return ""
    if closes:
        last.after = with_mark(last.after, _CLOSING.get(mark, "”"))
    elif mark in "-‐‑":
        if _is_dash(text, at):
            _stop(last, "—")
    elif mark in _MARKS:
        ends_here = ends.intersection(range(at + 1, at + 4)) or _ends_unspaced(text, at, last)
        if mark == "." and not ends_here and text[at + 1 : at + 2] != ".":
            if at == last.offset + len(last.text) and len(last.text) <= _ABBREVIATION:
                last.abbreviated = True
            return ""
        ellipsis = mark == "." and _ELLIPSIS.match(text, at)
        _stop(last, "…" if ellipsis else _MARKS[mark])
    return ""


def _stop(word: Word, mark: str) -> None:
    """Add a stop to a word; only its strongest one is kept."""
    if not word.stop:
        word.after += mark
    elif STOPS.index(mark) > STOPS.index(word.stop):
        word.after = word.after.replace(word.stop, mark)


def _closes(text: str, at: int, mark: str) -> bool:
    """Whether a mark is a closing bracket or quote."""
    if mark == '"':
        return at > 0 and not text[at - 1].isspace() and text[at - 1] not in _OPENING
    return mark in _CLOSING


def _is_dash(text: str, at: int) -> bool:
    """Whether a hyphen is used as a dash: ``wait - no``, ``wait--no``; not ``--option``."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if before.isspace():
        return after.isspace()
    return before == "-" and (after.isspace() or not text[max(0, at - 2) : at - 1].isspace())


def _ends_unspaced(text: str, at: int, last: Word) -> bool:
    """Whether a full stop between two words ends a sentence, as it would with a space after it."""
    if not _UNSPACED.match(text, at):
        return False
    return len(sentences(f"{last.text}. {text[at + 1]}")) > 1


def _sentence_ends(text: str) -> Iterator[int]:
    """Yield the index after each sentence."""
    at = 0
    for sentence in sentences(text):
        at = text.find(sentence, at) + len(sentence)
        yield at


def plain(text: str) -> str:
    """Normalise a word as in a pronunciation dictionary: NFC, without joiners."""
    return unicodedata.normalize("NFC", text).replace("\u200c", "").replace("\u200d", "")
