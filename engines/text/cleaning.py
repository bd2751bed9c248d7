"""Cleans input text: normalises Unicode, and removes Markdown and emoji."""

import re
import unicodedata
from typing import Final

import emoji
import regex
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from engines.text.errors import TextError

PARAGRAPH: Final = "\n\n"

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_UNSPEAKABLE: Final = regex.compile(r"[[\p{Cc}\p{Cf}\p{Co}\p{Cn}]--[\n\u200c\u200d]]", regex.V1)
"""Controls, invisible formatting, private and unassigned characters; the joiners stay, Indic scripts need them."""

_LINE: Final = re.compile("\r\n?|[\v\f\x85\u2028]")
_SPACE: Final = re.compile(r"[^\S\n]+")
_BLANK: Final = re.compile(r" ?\n(?: ?\n)+ ?|\u2029")
_MARKS: Final = regex.compile(r"(\p{M}{30})\p{M}+")
"""More marks on one letter than the Stream-Safe Text Format (UAX #15) allows: ordering them takes the square
of their number."""

_KEYCAP: Final = re.compile("([0-9#*])\ufe0f?\u20e3")
_SELECTOR: Final = re.compile("[\ufe0e\ufe0f]")
_IN_EMOJI: Final = "".join(sorted({sign for name in emoji.EMOJI_DATA for sign in name if not sign.isascii()}))
_EMOJI: Final = regex.compile(
    rf"[{_IN_EMOJI}\u200d]{{1,64}}+(?<!\u200d)(?!\u200d)|[{_IN_EMOJI}\u200d]{{1,64}}+"
)
"""What emoji consist of, a few at a time: the library takes the square of the length of a row of them."""

_MARKED: Final = re.compile(r"[*_`#\[\]<>|~\\]|^\s*[-+]\s|^\s*\d+[.)]\s|^\s{4}|&\w+;", re.MULTILINE)
"""Something in the text may be Markdown."""


TOKENS: Final = 4
"""Markdown's blocks that a character may open and close: ``>`` makes two, a table's ``a|`` three."""


class _Tokens(list[Token]):
    """Tokens that the parser appends to, of a bounded number: a short row of a wide table makes many cells.

    Args:
        limit: Tokens.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def append(self, token: Token, /) -> None:
        if len(self) >= self._limit:
            raise TextError("The Markdown has more empty cells of tables than text.")
        super().append(token)


def clean(text: str) -> str:
    """NFC, uniform line ends, nothing invisible. Line breaks are kept: Markdown needs them.

    Raises:
        TextError: The text holds half of a character (a lone surrogate).
    """
    if _SURROGATE.search(text):
        raise TextError("The input contains lone surrogates: it was cut or encoded wrongly.")
    text = _LINE.sub("\n", text).replace("\t", " ")
    text = _MARKS.sub(r"\1", _UNSPEAKABLE.sub("", text))
    return unicodedata.normalize("NFC", text).replace("’", "'")


def tidy(text: str) -> str:
    """One space between words, an empty line between paragraphs."""
    text = _SPACE.sub(" ", text)
    parts = [" ".join(part.split()) for part in _BLANK.split(text)]
    return PARAGRAPH.join(part for part in parts if part)


def without_emoji(text: str) -> str:
    """The text without emoji; keycaps become their digits, and © ® ™ stay."""
    if text.isascii():
        return text
    text = _KEYCAP.sub(r"\1", text)
    return _SELECTOR.sub("", _EMOJI.sub(_no_emoji, text))


def _no_emoji(match: regex.Match[str]) -> str:
    return emoji.replace_emoji(match.group(), lambda sign, _data: sign[0] if sign[0] in "©®™" else " ")


def without_markdown(text: str) -> str:
    """The text of the rendered Markdown; list numbers stay, each block is a paragraph."""
    if not _MARKED.search(text):
        return text
    parser = MarkdownIt("commonmark", {"maxNesting": 20}).enable(["table", "strikethrough"])
    blocks: list[str] = []
    prefix = ""
    cells: list[str] = []
    in_cell = False
    state = StateCore(text, parser, {})
    state.tokens = _Tokens(TOKENS * len(text) + 100)
    parser.core.process(state)
    for token in state.tokens:
        if token.type == "list_item_open" and token.info:
            prefix = f"{token.info}. "
        elif token.type == "tr_open":
            cells = []
        elif token.type in {"td_open", "th_open"}:
            in_cell = True
        elif token.type == "tr_close":
            in_cell = False
            blocks.append(", ".join(cell for cell in cells if cell))
        elif token.type == "inline":
            content = _inline(token)
            if in_cell:
                cells.append(content)
            else:
                blocks.append(prefix + content)
                prefix = ""
        elif token.type in {"fence", "code_block"}:
            blocks.append(token.content)
    return PARAGRAPH.join(blocks)


def _inline(token: Token) -> str:
    parts: list[str] = []
    for child in token.children or ():
        if child.type in {"text", "code_inline"}:
            parts.append(child.content)
        elif child.type in {"softbreak", "hardbreak"}:
            parts.append("\n")
        elif child.type == "image":
            parts.append(child.content)
    return "".join(parts)
