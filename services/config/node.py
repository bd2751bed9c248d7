"""Values before they are validated, each with the place it came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import JsonValue

Scalar: TypeAlias = str | int | float | bool | None
Content: TypeAlias = "Scalar | dict[str, Node] | list[Node]"
KeyPath: TypeAlias = tuple[str, ...]
"""Where a value stands, outermost name first; an engine's name stands in place of its index."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value, a mapping or a list.

    Attributes:
        content: The value, or the nodes inside it.
        origin: ``file:line``, the name of an environment variable, or ``default``.
    """

    content: Content
    origin: str

    @classmethod
    def of(cls, value: JsonValue, origin: str) -> "Node":
        """A plain value, all of it from one place."""
        if isinstance(value, dict):
            return cls({name: cls.of(item, origin) for name, item in value.items()}, origin)
        if isinstance(value, list):
            return cls([cls.of(item, origin) for item in value], origin)
        return cls(value, origin)

    def plain(self) -> JsonValue:
        """The value alone."""
        if isinstance(self.content, dict):
            return {name: node.plain() for name, node in self.content.items()}
        if isinstance(self.content, list):
            return [node.plain() for node in self.content]
        return self.content

    def find(self, path: Sequence[str]) -> "tuple[Node, int]":
        """The deepest node on ``path`` below this one, and how many of its names lead there."""
        node = self
        for depth, name in enumerate(path):
            if not isinstance(node.content, dict) or name not in node.content:
                return node, depth
            node = node.content[name]
        return node, len(path)


def merge(below: Node, above: Node) -> Node:
    """``above`` laid over ``below``: mappings key by key, everything else replaced."""
    if not isinstance(below.content, dict) or not isinstance(above.content, dict):
        return above
    merged = dict(below.content)
    for name, node in above.content.items():
        merged[name] = merge(merged[name], node) if name in merged else node
    return Node(merged, above.origin)
