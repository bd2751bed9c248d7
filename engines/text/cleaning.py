"""Cleaning of input text: normalises Unicode, and removes Markdown and emoji."""

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
"""Control, format, private-use and unassigned characters, except joiners, which Indic scripts need."""

_LINE: Final = re.compile("\r\n?|[\v\f\x85\u2028]")
_SPACE: Final = re.compile(r"[^\S\n]+")
_BLANK: Final = re.compile(r" ?\n(?: ?\n)+ ?|\u2029")
_MARKS: Final = regex.compile(r"(\p{M}{30})\p{M}+")
"""More marks on a letter than the Stream-Safe Text Format (UAX #15) allows: sorting takes quadratic time."""

_KEYCAP: Final = re.compile("([0-9#*])\ufe0f?\u20e3")
_SELECTOR: Final = re.compile("[\ufe0e\ufe0f]")
_IN_EMOJI: Final = "".join(sorted({sign for name in emoji.EMOJI_DATA for sign in name if not sign.isascii()}))
_EMOJI: Final = regex.compile(
    rf"[{_IN_EMOJI}\u200d]{{1,64}}+(?<!\u200d)(?!\u200d)|[{_IN_EMOJI}\u200d]{{1,64}}+"
)
"""Up to 64 characters that emoji consist of: the library takes quadratic time for a row of them."""

_MARKED: Final = re.compile(r"[*_`#\[\]<>|~\\]|^\s*[-+]\s|^\s*\d+[.)]\s|^\s{4}|&\w+;", re.MULTILINE)
"""Pattern of text that may contain Markdown."""


TOKENS: Final = 4
"""Maximum number of Markdown tokens per character: ``>`` makes two, a table's ``a|`` three."""


class _Tokens(list[Token]):
    """A list of the parser's tokens with a limit, because a short row of a wide table makes many cells.

    Args:
        limit: Maximum number of tokens.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def append(self, token: Token, /) -> None:
        if len(self) >= self._limit:
            raise TextError("The Markdown has more empty cells of tables than text.")
        super().append(token)


def clean(text: str) -> str:
    """Convert to NFC, unify line breaks, which Markdown needs, and remove invisible characters.

    Raises:
        TextError: The text contains lone surrogates.
    """
    if _SURROGATE.search(text):
        raise TextError("The input contains lone surrogates: it was cut or encoded wrongly.")
    text = _LINE.sub("\n", text).replace("\t", " ")
    text = _MARKS.sub(r"\1", _UNSPEAKABLE.sub("", text))
    return unicodedata.normalize("NFC", text).replace("’", "'")


def tidy(text: str) -> str:
    """Reduce whitespace to one space between words, and an empty line between paragraphs."""
    text = _SPACE.sub(" ", text)
    parts = [" ".join(part.split()) for part in _BLANK.split(text)]
    return PARAGRAPH.join(part for part in parts if part)


def without_emoji(text: str) -> str:
    """Remove emoji; keycaps become their digits, and © ® ™ are kept."""
    if text.isascii():
        return text
    text = _KEYCAP.sub(r"\1", text)
    return _SELECTOR.sub("", _EMOJI.sub(_no_emoji, text))


def _no_emoji(match: regex.Match[str]) -> str:
    return emoji.replace_emoji(match.group(), lambda sign, _data: sign[0] if sign[0] in "©®™" else " ")


def without_markdown(text: str) -> str:
    """Return the text of rendered Markdown; list numbers are kept, and each block is a paragraph.

    Raises:
        TextError: The tables have too many empty cells.
    """
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
