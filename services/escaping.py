"""Escaping of untrusted text for logs and terminals."""

import json
import re
from typing import Final

_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters: line ends, escape codes
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls, which reorder displayed text
    "\u2028\u2029"  # line and paragraph separators
    "\ufeff\U000e0000-\U000e007f"  # invisible characters
    "\ud800-\udfff]"  # lone surrogates, which cannot be encoded
)
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escaped(text: str) -> str:
    r"""Escape characters that could forge a log line or control a terminal, as ``\n``, ``\x1b``, ``\u202e``.

    Letters of all scripts are kept, including the joiners of Indic scripts. Backslashes are not escaped.
    """
    return _UNSAFE.sub(_escape, text)


def escaped_lines(text: str, indent: str) -> str:
    """Escape and indent each line, so that none looks like the beginning of a log record."""
    return "\n".join(indent + escaped(line) for line in text.split("\n"))


def safe_json(text: str) -> str:
    r"""Escape the same characters in a JSON text, as ``\u…``; its line ends and its value are unchanged."""
    return _UNSAFE.sub(lambda match: match[0] if match[0] == "\n" else json.dumps(match[0])[1:-1], text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] in _SHORT:
        return _SHORT[match[0]]
    if code < 0x100:  # noqa: PLR2004 - Latin-1
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - the basic plane
