"""A parser for a limited subset of YAML, which records the line of every value.

It uses the events of PyYAML's parser rather than its constructors, so the only results are text, numbers,
true, false, null, lists and mappings. Scalars follow the YAML 1.2 core schema: ``no`` is text, not false.
Keys are always text. Anchors, aliases, tags, duplicate keys and multiple documents are rejected.
"""

import re
from pathlib import Path
from typing import Final

import yaml

from services.config.node import MAX_DEPTH, Node, Scalar
from services.config.problems import ConfigError, Problem

MAX_BYTES: Final = 1_048_576

_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# 19 digits hold 64 bits, and int() rejects very long numbers with its own error.
_INT: Final = re.compile(r"[-+]?[0-9]{1,19}")
_BASED: Final = re.compile(r"0o[0-7]{1,21}|0x[0-9a-fA-F]{1,16}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,4})?")


def read_text(path: Path) -> str:
    """Read a settings file.

    Raises:
        ConfigError: The file cannot be read, is too large, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refusal(str(path), f"cannot be read: {error.strerror or type(error).__name__}") from None
    if len(data) > MAX_BYTES:
        raise _refusal(path.name, f"is larger than {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refusal(f"{path.name}:{line}", "is not UTF-8 text") from None


def parse_yaml(text: str, name: str) -> Node:
    """Parse the mapping in ``text``; empty text is an empty mapping.

    Args:
        text: The YAML text.
        name: Name of the file, for origins.

    Raises:
        ConfigError: The text is not a mapping in the supported subset.
    """
    try:
        root = _Parser(text, name).document()
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
        raise _refusal(name + line, f"is not YAML: {error.problem or 'it cannot be parsed'}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _refusal(f"{name}:{line}", "contains a control character") from None
    except (ValueError, OverflowError):
        # Raised by chr() and int() in PyYAML's scanner, for absurd escapes and versions.
        raise _refusal(name, "is not YAML: an escape or a number is out of range") from None
    if root.content is None:
        return Node({}, f"{name}:1")
    if not isinstance(root.content, dict):
        raise _refusal(root.origin, "should be a mapping of sections")
    return root


class _Parser:
    """Builds nodes from the parser's events."""

    def __init__(self, text: str, name: str) -> None:
        self._events = yaml.parse(text, Loader=yaml.SafeLoader)
        self._name = name

    def document(self) -> Node:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                root = self._node(event, 1)
            elif isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise self._refusal(event, "a second document; one file is one document")
        return root or Node(None, self._name)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._refusal(event, f"nested more than {MAX_DEPTH} deep")
        self._check(event)
        origin = self._origin(event)
        if isinstance(event, yaml.ScalarEvent):
            return Node(_scalar(event.value) if event.implicit[0] else event.value, origin)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                items.append(self._node(inner, depth + 1))
            return Node(items, origin)
        entries: dict[str, Node] = {}
        while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
            self._check(inner)
            if not isinstance(inner, yaml.ScalarEvent):
                raise self._refusal(inner, "a key should be text")
            if (other := entries.get(inner.value)) is not None:
                raise self._refusal(inner, f"the key '{inner.value}' is already at {other.origin}")
            # The origin is the key's line, where people look.
            value = self._node(next(self._events), depth + 1)
            entries[inner.value] = Node(value.content, self._origin(inner))
        return Node(entries, origin)

    def _check(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._refusal(
                event, "anchors and aliases (`&`, `*`) are not supported; use quotes for text"
            )
        if getattr(event, "tag", None) is not None:
            raise self._refusal(event, "tags (`!`) are not supported; use quotes for text")
        if isinstance(event, yaml.ScalarEvent) and any("\ud800" <= c <= "\udfff" for c in event.value):
            raise self._refusal(event, "an unpaired surrogate is not valid text")

    def _origin(self, event: yaml.Event) -> str:
        mark = event.start_mark
        return self._name if mark is None else f"{self._name}:{mark.line + 1}"

    def _refusal(self, event: yaml.Event, message: str) -> ConfigError:
        return _refusal(self._origin(event), message)


def _refusal(where: str, message: str) -> ConfigError:
    return ConfigError([Problem(where, "", message)])


def _scalar(text: str) -> Scalar:
    """Return the value of a plain scalar in the YAML 1.2 core schema; infinities and NaN remain text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text
