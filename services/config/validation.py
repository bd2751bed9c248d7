"""Stacked layers become settings, and pydantic's errors become problems with a place."""

import math
import re
from collections.abc import Iterator
from typing import Final, cast

from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails

from services.config.flat import flatten
from services.config.mask import masked
from services.config.names import engine_key, nearest
from services.config.node import KeyPath, Node
from services.config.problems import ConfigError, Problem
from services.config.rules import Broken
from services.config.settings import Settings

DEFAULT: Final = "default"
"""The origin of what no layer gives."""


def validate(tree: Node) -> Settings:
    """The settings that ``tree`` holds.

    Args:
        tree: Fitted and stacked layers.

    Raises:
        ConfigError: Values are wrong, or they don't go together.
    """
    try:
        settings = Settings.model_validate(_plain(tree))
    except ValidationError as error:
        raise ConfigError(_problems(error, tree)) from None
    infinite = [path for path, value in flatten(masked(settings)) if _is_infinite(value)]
    if infinite:
        raise ConfigError(
            Problem(origin(tree, p), ".".join(p), "should be a finite number") for p in infinite
        )
    return settings


def value_problems(tree: Node) -> list[Problem]:
    """What is wrong with single values, for a tree that lacks what could not be read."""
    try:
        Settings.model_validate(_plain(tree))
    except ValidationError as error:
        return [
            problem
            for details in _details(error)
            if details["type"] != "rules"
            for problem in _told(details, tree)
        ]
    return []


def origin(tree: Node, path: KeyPath) -> str:
    """Where the value at ``path`` came from; ``default`` when no layer gives it."""
    node, depth = tree.find(_tree_path(path))
    return node.origin if depth == len(path) else DEFAULT


def _plain(tree: Node) -> JsonValue:
    plain = tree.plain()
    if isinstance(plain, dict) and isinstance(engines := plain.get("engines"), dict):
        plain["engines"] = list(engines.values())
    return plain


def _tree_path(path: KeyPath) -> KeyPath:
    if len(path) > 1 and path[0] == "engines":
        return ("engines", engine_key(path[1]), *path[2:])
    return path


def _details(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_input=False)


def _problems(error: ValidationError, tree: Node) -> Iterator[Problem]:
    for details in _details(error):
        yield from _told(details, tree)


def _told(details: ErrorDetails, tree: Node) -> Iterator[Problem]:
    """One error in our words; a broken rule may be several."""
    if details["type"] == "rules":
        for path, message in cast("list[Broken]", details.get("ctx", {})["broken"]):
            yield Problem(_place(tree, path)[0], ".".join(path), message)
        return
    path = _names(details, tree)
    where, value = _place(tree, path)
    yield Problem(where, ".".join(path), _message(details, value))


def _names(details: ErrorDetails, tree: Node) -> KeyPath:
    """The error's place with an engine's name for its index, without pydantic's own additions."""
    location = details["loc"]
    names: list[str] = []
    for depth, part in enumerate(location):
        if isinstance(part, str):
            names.append(part)
        elif depth == 1 and location[0] == "engines":
            engines = tree.find(("engines",))[0].content
            entries = list(engines.values()) if isinstance(engines, dict) else []
            names.append(str(entries[part].find(("name",))[0].content))
    # Beyond a single value there are only names of types, and `[key]` for a mapping's key.
    node, depth = tree.find(_tree_path(tuple(names)))
    whole = isinstance(node.content, dict) and names[-1:] != ["[key]"]
    return tuple(names if whole else names[:depth])


def _place(tree: Node, path: KeyPath) -> tuple[str, Node]:
    """Where the value, or the nearest section around it, was given; nothing for a default."""
    node, depth = tree.find(_tree_path(path))
    return (node.origin if depth and node.origin != DEFAULT else ""), node


def _message(details: ErrorDetails, node: Node) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    text = details["msg"].replace("Input should", "should").replace("String should", "should")
    if kind == "string_type" and isinstance(node.content, int | float | bool):
        return "should be text; put it in quotes"
    if kind == "literal_error" and isinstance(node.content, str):
        near = nearest(node.content, re.findall(r"'([^']*)'", str(context["expected"])))
        return f"{text}{f'; did you mean {near}?' if near else ''}"
    return text


def _is_infinite(value: JsonValue) -> bool:
    if isinstance(value, list):
        return any(_is_infinite(item) for item in value)
    return isinstance(value, float) and not math.isfinite(value)
