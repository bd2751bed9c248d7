"""A bounded subset of YAML, with the line of every value.

Built from the parser's events, not by its constructors, so that nothing is ever made but text, numbers,
true, false, null, lists and mappings. Scalars follow the YAML 1.2 core schema: ``no`` is Norwegian, not
false, and keys are always text. Anchors, aliases, tags, duplicate keys and further documents are refused.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from services.config.node import Node, Scalar
from services.config.problems import ConfigError, Problem

MAX_BYTES: Final = 1_048_576
MAX_DEPTH: Final = 32

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
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
        reason = error.strerror or type(error).__name__
        raise ConfigError([Problem(str(path), "", f"cannot be read: {reason}")]) from None
    if len(data) > MAX_BYTES:
        raise ConfigError([Problem(path.name, "", f"is larger than {MAX_BYTES} bytes")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(f"{path.name}:{line}", "", "is not UTF-8 text")]) from None


def read_yaml(path: Path) -> Node:
    """The mapping a YAML file holds; an empty one for an empty file.

    Raises:
        ConfigError: It cannot be read, or is not a mapping in the subset above.
    """
    return parse_yaml(read_text(path), path.name)


def parse_yaml(text: str, name: str) -> Node:
    """The mapping that ``text`` holds.

    Args:
        text: YAML.
        name: The file's name, for origins.

    Raises:
        ConfigError: It is not a mapping in the subset above.
    """
    try:
        root = _Builder(name).build(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
        message = f"is not YAML: {error.problem or 'it cannot be parsed'}"
        raise ConfigError([Problem(name + line, "", message)]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError([Problem(f"{name}:{line}", "", "holds a control character")]) from None
    except (ValueError, OverflowError):
        # PyYAML's scanner lets chr() and int() fail on absurd escapes and versions.
        raise ConfigError([Problem(name, "", "is not YAML: an escape or a number is out of range")]) from None
    if root is None or root.content is None:
        return Node({}, f"{name}:1")
    if not isinstance(root.content, dict):
        raise ConfigError([Problem(root.origin, "", "should be a mapping of sections")])
    return root


class _Builder:
    """Nodes out of parser events."""

    def __init__(self, name: str) -> None:
        self._name = name

    def build(self, events: Iterator[yaml.Event]) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._refuse(event, "a second document; one file is one document")
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, events, 1)
        return root

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._refuse(event, f"nested more than {MAX_DEPTH} deep")
        self._check(event)
        origin = self._origin(event)
        if isinstance(event, yaml.ScalarEvent):
            return Node(_scalar(event.value) if event.implicit[0] else event.value, origin)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(inner := next(events), yaml.SequenceEndEvent):
                items.append(self._node(inner, events, depth + 1))
            return Node(items, origin)
        children: dict[str, Node] = {}
        while not isinstance(inner := next(events), yaml.MappingEndEvent):
            name = self._key(inner)
            if name in children:
                raise self._refuse(inner, f"the key '{name}' is already at {children[name].origin}")
            value = self._node(next(events), events, depth + 1)
            # The key's line is where people look.
            children[name] = Node(value.content, self._origin(inner))
        return Node(children, origin)

    def _key(self, event: yaml.Event) -> str:
        self._check(event)
        if not isinstance(event, yaml.ScalarEvent):
            raise self._refuse(event, "a key should be text")
        return event.value

    def _check(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._refuse(event, "anchors and aliases (`&`, `*`) are not supported; use quotes for text")
        if getattr(event, "tag", None) is not None:
            raise self._refuse(event, "tags (`!`) are not supported; use quotes for text")
        if isinstance(event, yaml.ScalarEvent) and any("\ud800" <= c <= "\udfff" for c in event.value):
            raise self._refuse(event, "half of a surrogate pair is not text")

    def _origin(self, event: yaml.Event) -> str:
        mark = event.start_mark
        return self._name if mark is None else f"{self._name}:{mark.line + 1}"

    def _refuse(self, event: yaml.Event, message: str) -> ConfigError:
        return ConfigError([Problem(self._origin(event), "", message)])


def _scalar(text: str) -> Scalar:
    """What a plain scalar means in the YAML 1.2 core schema, infinities and NaN left as text."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text
