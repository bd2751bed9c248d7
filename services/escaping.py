"""Showing text of others where a line is a record and a terminal obeys escape codes."""

import json
import re
from typing import Final

_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters: line ends, escape codes
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what reorders a line for its reader
    "\u2028\u2029"  # line and paragraph separators
    "\ufeff\U000e0000-\U000e007f"  # what nobody sees
    "\ud800-\udfff]"  # lone surrogates, which no encoding takes
)
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escaped(text: str) -> str:
    r"""One line, with what could forge a line or steer a terminal as ``\n``, ``\x1b``, ``\u202e``.

    Letters of all scripts stay, the joiners of Indian ones included. A backslash stays as it is.
    """
    return _UNSAFE.sub(_escape, text)


def escaped_lines(text: str, indent: str) -> str:
    """Several lines, each escaped and indented, so that none looks like the beginning of a record."""
    return "\n".join(indent + escaped(line) for line in text.split("\n"))


def safe_json(text: str) -> str:
    r"""JSON with what :func:`escaped` escapes as JSON's own ``\u…``; its line ends and its value stay."""
    return _UNSAFE.sub(lambda match: match[0] if match[0] == "\n" else json.dumps(match[0])[1:-1], text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] in _SHORT:
        return _SHORT[match[0]]
    if code < 0x100:  # noqa: PLR2004 - Latin-1
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - the basic plane
