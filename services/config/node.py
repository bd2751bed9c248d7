"""A tree of values before validation, each with its origin."""

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from pydantic import JsonValue

Scalar: TypeAlias = str | int | float | bool | None
Content: TypeAlias = "Scalar | dict[str, Node] | list[Node]"
KeyPath: TypeAlias = tuple[str, ...]
"""Path of a value, outermost name first; engines are identified by name."""

MAX_DEPTH: Final = 32
"""Maximum nesting of mappings and lists."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value, a mapping or a list.

    Attributes:
        content: The value, or the inner nodes.
        origin: ``file:line``, the name of an environment variable, or ``default``.
    """

    content: Content
    origin: str

    @classmethod
    def of(cls, value: JsonValue, origin: str, depth: int = 1) -> "Node":
        """Convert a plain value, with the same origin for all of its parts.

        Raises:
            RecursionError: The value is nested more than :data:`MAX_DEPTH` deep.
        """
        if depth > MAX_DEPTH:
            raise RecursionError
        if isinstance(value, dict):
            return cls({name: cls.of(item, origin, depth + 1) for name, item in value.items()}, origin)
        if isinstance(value, list):
            return cls([cls.of(item, origin, depth + 1) for item in value], origin)
        return cls(value, origin)

    @property
    def entries(self) -> "dict[str, Node]":
        """Entries of a mapping; empty for other nodes."""
        return self.content if isinstance(self.content, dict) else {}

    def plain(self) -> JsonValue:
        """Return the plain value, without origins."""
        if isinstance(self.content, dict):
            return {name: node.plain() for name, node in self.content.items()}
        if isinstance(self.content, list):
            return [node.plain() for node in self.content]
        return self.content

    def find(self, path: KeyPath) -> "tuple[Node, int]":
        """Return the deepest existing node on ``path``, and the number of names that lead to it."""
        node = self
        for depth, name in enumerate(path):
            if name not in node.entries:
                return node, depth
            node = node.entries[name]
        return node, len(path)


def merge(below: Node, above: Node) -> Node:
    """Merge two nodes: mappings recursively; other values of ``above`` replace those of ``below``."""
    if not isinstance(below.content, dict) or not isinstance(above.content, dict):
        return above
    merged = dict(below.content)
    for name, node in above.content.items():
        merged[name] = merge(merged[name], node) if name in merged else node
    return Node(merged, above.origin)


def engine_key(name: str) -> str:
    """Return the key by which an engine's name must be unique: case-insensitive, punctuation ignored.

    Names that differ only in ``-``, ``.`` and ``_`` would share an environment variable and a service.
    """
    return re.sub(r"\W", "_", name).lower()
