"""A bounded subset of YAML, with the line of every value.

Built from the parser's events, not by its constructors, so that the only results are text, numbers,
true, false, null, lists and mappings. Scalars follow the YAML 1.2 core schema: ``no`` is Norwegian, not
false, and keys are always text. Anchors, aliases, tags, duplicate keys and further documents are refused.
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
# Nineteen digits hold 64 bits, and int() refuses very long ones with an error of its own.
_INT: Final = re.compile(r"[-+]?[0-9]{1,19}")
_BASED: Final = re.compile(r"0o[0-7]{1,21}|0x[0-9a-fA-F]{1,16}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,4})?")


def read_text(path: Path) -> str:
    """The text of a settings file.

    Raises:
        ConfigError: It cannot be read, is too large, or is not UTF-8.
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
    """The mapping in ``text``; an empty one for no text.

    Args:
        text: YAML.
        name: The file's name, for origins.

    Raises:
        ConfigError: It is not a mapping in the subset above.
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
        # PyYAML's scanner lets chr() and int() fail on absurd escapes and versions.
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
            # People look at the key's line.
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
            raise self._refusal(event, "half of a surrogate pair is not text")

    def _origin(self, event: yaml.Event) -> str:
        mark = event.start_mark
        return self._name if mark is None else f"{self._name}:{mark.line + 1}"

    def _refusal(self, event: yaml.Event, message: str) -> ConfigError:
        return _refusal(self._origin(event), message)


def _refusal(where: str, message: str) -> ConfigError:
    return ConfigError([Problem(where, "", message)])


def _scalar(text: str) -> Scalar:
    """What a plain scalar means in the YAML 1.2 core schema, infinities and NaN left as text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text
