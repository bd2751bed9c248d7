"""Validation of merged layers; converts pydantic's errors to problems with their origins."""

import math
import re
from collections.abc import Iterable
from typing import Final, cast

from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails

from services.config.mask import flatten, masked
from services.config.node import KeyPath, Node, engine_key
from services.config.problems import ConfigError, Problem, nearest, suggestion
from services.config.rules import Broken
from services.config.settings import Settings

DEFAULT: Final = "default"
"""Origin of values that no layer sets."""


def validate(tree: Node, problems: Iterable[Problem] = ()) -> Settings:
    """Return the settings of fitted and merged layers.

    Args:
        tree: The merged layers.
        problems: Problems found so far; if there are any, the rules between settings are not checked.

    Raises:
        ConfigError: Values are invalid, or break the rules between them.
    """
    wrong = list(problems)
    plain = cast("dict[str, JsonValue]", tree.plain())
    if isinstance(engines := plain.get("engines"), dict):
        plain["engines"] = list(engines.values())
    try:
        settings = Settings.model_validate(plain)
    except ValidationError as error:
        for details in error.errors(include_url=False, include_input=False):
            if details["type"] != "rules":
                wrong.append(_told(details, tree))
            elif not wrong:
                broken = cast("list[Broken]", details.get("ctx", {})["broken"])
                wrong.extend(Problem(_given(tree, path)[0], ".".join(path), text) for path, text in broken)
        raise ConfigError(wrong) from None
    for path, value in flatten(masked(settings)):
        if _is_infinite(value):
            wrong.append(Problem(origin(tree, path), ".".join(path), "should be a finite number"))
    if wrong:
        raise ConfigError(wrong)
    return settings


def origin(tree: Node, path: KeyPath) -> str:
    """Return the origin of the value at ``path``; ``default`` if no layer sets it."""
    node, depth = _find(tree, path)
    return node.origin if depth == len(path) else DEFAULT


def _told(details: ErrorDetails, tree: Node) -> Problem:
    """Convert an error of pydantic's."""
    path: list[str] = []
    node = tree
    for part in details["loc"]:
        # After a plain value, pydantic adds names of types, or `[key]` for a mapping's key.
        if part == "[key]" or not isinstance(node.content, dict):
            break
        if isinstance(part, int):
            node = list(node.content.values())[part]
            path.append(str(node.entries["name"].content))
        else:
            node = node.content.get(part, Node(None, ""))
            path.append(part)
    where, node = _given(tree, tuple(path))
    return Problem(where, ".".join(path), _message(details, node))


def _message(details: ErrorDetails, node: Node) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_type" and isinstance(node.content, int | float | bool):
        return "should be text; put it in quotes"
    text = details["msg"].replace("Input should", "should").replace("String should", "should")
    if kind == "literal_error" and isinstance(node.content, str):
        return text + suggestion(nearest(node.content, re.findall(r"'([^']*)'", str(context["expected"]))))
    return text


def _given(tree: Node, path: KeyPath) -> tuple[str, Node]:
    """Return the origin and node of a value, or of its nearest outer section; empty for a default."""
    node, depth = _find(tree, path)
    return (node.origin if depth and node.origin != DEFAULT else ""), node


def _find(tree: Node, path: KeyPath) -> tuple[Node, int]:
    section, *names = path
    if section == "engines" and names:
        names[0] = engine_key(names[0])
    return tree.find((section, *names))


def _is_infinite(value: JsonValue) -> bool:
    if isinstance(value, list):
        return any(_is_infinite(item) for item in value)
    return isinstance(value, float) and not math.isfinite(value)
