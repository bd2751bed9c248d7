"""Settings in environment variables, and in those of ``.env``.

``AWAAZTWIN_SERVER__PORT`` sets ``server.port``, and ``AWAAZTWIN_ENGINES__ESPEAK__WARM`` sets ``warm`` of the
engine ESPEAK. The value of a section, an engine or a mapping is JSON.
"""

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn, cast

from dotenv.parser import parse_stream
from pydantic import JsonValue

from services.config.keys import ANY, ENGINE, SETTINGS, Key, walk
from services.config.layer import fit
from services.config.node import KeyPath, Node, engine_key, merge
from services.config.problems import Problem, nearest, suggestion

PREFIX: Final = "AWAAZTWIN_"
FILE_VARIABLE: Final = "AWAAZTWIN_CONFIG"
"""Variable that names the settings file."""

CLIENT_VARIABLES: Final = frozenset({"AWAAZTWIN_BASE_URL", "AWAAZTWIN_API_KEY"})
"""Variables of the command line's client, not of the server."""

SHORT: Final[Mapping[str, str]] = {"AWAAZTWIN_MODELS": "AWAAZTWIN_MODELS__FOLDER"}
"""Variables of sections that set the section's main key if the value is not JSON."""

_ENGINE_KEY: Final = SETTINGS.below["engines"].below[ENGINE]


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    value: str
    origin: str
    """The variable's name, or ``.env:line``."""


def environment_layer(environ: Mapping[str, str], problems: list[Problem]) -> Node:
    """Return the fitted layer of our variables in ``environ``; empty variables count as unset."""
    return _layer((_Variable(name, value, name) for name, value in sorted(environ.items())), problems)


def dotenv_layer(text: str, name: str, problems: list[Problem]) -> Node:
    """Return the fitted layer of our variables in ``text``, the content of the ``.env`` file ``name``."""
    variables: dict[str, _Variable] = {}
    for binding in parse_stream(io.StringIO(text)):
        # A binding includes the blank lines before it.
        blank = len(binding.original.string) - len(binding.original.string.lstrip())
        line = binding.original.line + binding.original.string.count("\n", 0, blank)
        where = f"{name}:{line}"
        if binding.error:
            problems.append(Problem(where, "", "should be `NAME=value`"))
        elif binding.key == FILE_VARIABLE:
            problems.append(Problem(where, FILE_VARIABLE, "is read from the real environment only"))
        elif binding.key is not None and binding.value:
            variables[binding.key] = _Variable(binding.key, binding.value, where)
    return _layer(variables.values(), problems)


def variable_name(path: Iterable[str]) -> str:
    """Return the variable that sets the key at ``path``; ``ENGINE`` and ``ANY`` remain unchanged."""
    return PREFIX + "__".join(part if part in {ENGINE, ANY} else part.upper() for part in path)


def _layer(variables: Iterable[_Variable], problems: list[Problem]) -> Node:
    placed: list[tuple[KeyPath, Key | None, _Variable]] = []
    for variable in variables:
        name = variable.name
        if not name.startswith(PREFIX) or not variable.value or name in {FILE_VARIABLE, *CLIENT_VARIABLES}:
            continue
        if not variable.value.lstrip().startswith("{"):
            name = SHORT.get(name, name)
        if (place := _place(name)) is None:
            problems.append(_unknown(variable))
        else:
            placed.append((*place, variable))
    layer = Node({}, "")
    # A variable for a key takes precedence over one for its section.
    for path, key, variable in sorted(placed, key=lambda item: len(item[0])):
        try:
            layer = merge(layer, fit(_nested(path, _value(path, key, variable)), problems))
        except (ValueError, RecursionError) as error:
            message = "is nested too deep" if isinstance(error, RecursionError) else str(error)
            problems.append(Problem(variable.origin, ".".join(path), message))
    return layer


def _place(name: str) -> tuple[KeyPath, Key | None] | None:
    """Return the path that a variable names, and its key (``None`` for an engine's option), if valid."""
    parts = name.removeprefix(PREFIX).split("__")
    path = tuple(part.lower() for part in parts)
    if path[0] == "engines" and len(path) > 1:
        # An engine's name may contain two underscores itself.
        end = next((i for i in range(2, len(path)) if path[i] in _ENGINE_KEY.below), 2)
        engine, rest = "__".join(parts[1:end]), path[end:]
        path = ("engines", engine, *rest)
        if engine and rest[:1] == ("options",) and rest[1:] and all(rest):
            return path, None
        if rest == ("name",):
            # An engine is identified by its name, so it cannot be changed.
            return None
    key: Key | None = SETTINGS
    for part in path:
        key = key.child(part) if key and part else None
    return None if key is None else (path, key)


def _unknown(variable: _Variable) -> Problem:
    parts = variable.name.removeprefix(PREFIX).split("__")
    engine = parts[1] if parts[0] == "ENGINES" and len(parts) > 1 else "ESPEAK"
    paths = [("engines", ENGINE), *(path for path, _ in walk() if path != ("engines", ENGINE, "name"))]
    known = [variable_name(path).replace(ENGINE, engine) for path in paths]
    near = nearest(variable.name, [*known, FILE_VARIABLE, *CLIENT_VARIABLES])
    where = "" if variable.origin == variable.name else variable.origin
    return Problem(where, variable.name, f"there is no such variable{suggestion(near)}")


def _value(path: KeyPath, key: Key | None, variable: _Variable) -> Node:
    """Return the value of a variable for ``key``.

    Raises:
        ValueError: The value is not valid JSON, or names another engine than the variable.
        RecursionError: The value is nested too deep.
    """
    text, origin = variable.value, variable.origin
    if key is not None and key.container is None:
        return Node(None if key.nullable and text == "null" else text, origin)
    try:
        node = Node.of(_parse_json(text), origin)
    except ValueError:
        if key is None:
            return Node(text, origin)
        raise
    name = node.entries.get("name") if key is _ENGINE_KEY else None
    if name is not None and engine_key(str(name.content)) != engine_key(path[1]):
        raise ValueError("the variable's name is the engine's")
    return node


def _nested(path: KeyPath, node: Node) -> Node:
    """Return a layer with only ``node`` at ``path``; an engine becomes an item of the list."""
    for depth in reversed(range(len(path))):
        if depth == 1 and path[0] == "engines":
            named = Node({**node.entries, "name": Node(path[1], node.origin)}, node.origin)
            node = Node([named if isinstance(node.content, dict) else node], node.origin)
        else:
            node = Node({path[depth]: node}, node.origin)
    return node


def _parse_json(text: str) -> JsonValue:
    """Parse JSON; reject duplicate keys and NaN. Error messages do not repeat the text."""
    try:
        value = json.loads(text, object_pairs_hook=_mapping, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not valid JSON (at character {error.pos + 1})") from None
    return cast("JsonValue", value)


def _mapping(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("contains the same key twice")
    return mapping


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("contains NaN or an infinity, which JSON lacks")
