"""Text as people and programs write it, made plain: Unicode put in order, Markdown and emoji left out."""

import re
import unicodedata
from typing import Final

import emoji
import regex
from markdown_it import MarkdownIt
from markdown_it.token import Token

from engines.text.passage import TextError

PARAGRAPH: Final = "\n\n"

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_UNSPEAKABLE: Final = regex.compile(r"[[\p{Cc}\p{Cf}\p{Co}\p{Cn}]--[\n\u200c\u200d]]", regex.V1)
"""Controls, invisible formatting, private and unassigned characters; the joiners stay, Indic scripts need them."""

_LINE: Final = re.compile("\r\n?|[\v\f\x85\u2028]")
_SPACE: Final = re.compile(r"[^\S\n]+")
_BLANK: Final = re.compile(r" ?\n(?: ?\n)+ ?|\u2029")
_KEYCAP: Final = re.compile("([0-9#*])\ufe0f?\u20e3")
_SELECTOR: Final = re.compile("[\ufe0e\ufe0f]")
_MARKED: Final = re.compile(r"[*_`#\[\]<>|~\\]|^\s*[-+]\s|^\s*\d+[.)]\s|^\s{4}|&\w+;", re.MULTILINE)
"""Something in the text may be Markdown."""


def clean(text: str) -> str:
    """NFC, one kind of line end, nothing invisible. Lines stay as they are: Markdown needs them.

    Raises:
        TextError: The text holds half of a character (a lone surrogate).
    """
    if _SURROGATE.search(text):
        raise TextError("The input holds lone surrogates: it was cut or encoded wrongly.")
    text = unicodedata.normalize("NFC", text)
    text = _LINE.sub("\n", text).replace("\t", " ")
    return _UNSPEAKABLE.sub("", text).replace("’", "'")


def tidy(text: str) -> str:
    """One space between words, an empty line between paragraphs."""
    text = _SPACE.sub(" ", text)
    parts = [" ".join(part.split()) for part in _BLANK.split(text)]
    return PARAGRAPH.join(part for part in parts if part)


def without_emoji(text: str) -> str:
    """The text without emoji; keycaps become what is on them, and © ® ™ stay."""
    if text.isascii():
        return text
    text = _KEYCAP.sub(r"\1", text)
    kept = emoji.replace_emoji(text, lambda sign, _data: sign[0] if sign[0] in "©®™" else " ")
    return _SELECTOR.sub("", kept)


def without_markdown(text: str) -> str:
    """What a reader of rendered Markdown would read; list numbers stay, each block is a paragraph."""
    if not _MARKED.search(text):
        return text
    parser = MarkdownIt("commonmark", {"maxNesting": 20}).enable(["table", "strikethrough"])
    blocks: list[str] = []
    prefix = ""
    cells: list[str] = []
    in_cell = False
    for token in parser.parse(text):
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
