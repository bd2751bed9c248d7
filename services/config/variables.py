"""Settings given by environment variables, the real ones and those of ``.env``.

``AWAAZTWIN_SERVER__PORT`` is ``server.port`` and ``AWAAZTWIN_ENGINES__ESPEAK__WARM`` is ``warm`` of the
engine ESPEAK. A variable that names a section, an engine or a mapping holds JSON.
"""

import io
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dotenv.parser import parse_stream

from services.config.json_text import parse_json
from services.config.keys import ANY, ENGINE, Key, Shape, walk
from services.config.layer import fit
from services.config.names import engine_key, nearest
from services.config.node import KeyPath, Node, merge
from services.config.problems import Problem
from services.config.settings import Settings
from services.config.yaml_file import read_text

PREFIX: Final = "AWAAZTWIN_"
FILE_VARIABLE: Final = "AWAAZTWIN_CONFIG"
"""Names the settings file."""

CLIENT_VARIABLES: Final = frozenset({"AWAAZTWIN_BASE_URL", "AWAAZTWIN_API_KEY"})
"""Belong to the command line's client side and say nothing about the server."""

SHORT: Final[Mapping[str, str]] = {"AWAAZTWIN_MODELS": "AWAAZTWIN_MODELS__FOLDER"}
"""Variables that name a section and hold no JSON mean its main key."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable.

    Attributes:
        name: Its name.
        value: Its text; never empty.
        origin: What tells people where it is set: its name, or ``.env:line``.
    """

    name: str
    value: str
    origin: str


def from_environment(environ: Mapping[str, str]) -> list[Variable]:
    """Our variables in ``environ``; an empty one counts as not set."""
    return [
        Variable(name, value, name)
        for name, value in sorted(environ.items())
        if name.startswith(PREFIX) and value and name != FILE_VARIABLE
    ]


def from_dotenv(path: Path, problems: list[Problem]) -> list[Variable]:
    """Our variables in a ``.env`` file; those of other programs are left alone.

    Args:
        path: The file.
        problems: Gets the lines that cannot be understood.

    Raises:
        ConfigError: The file cannot be read.
    """
    variables: dict[str, Variable] = {}
    for binding in parse_stream(io.StringIO(read_text(path))):
        # A binding starts with the blank lines before it.
        blank = len(binding.original.string) - len(binding.original.string.lstrip())
        line = binding.original.line + binding.original.string.count("\n", 0, blank)
        where = f"{path.name}:{line}"
        if binding.error:
            problems.append(Problem(where, "", "should be `NAME=value`"))
        elif binding.key == FILE_VARIABLE:
            problems.append(Problem(where, FILE_VARIABLE, "is read from the real environment only"))
        elif binding.key is not None and binding.key.startswith(PREFIX) and binding.value:
            variables[binding.key] = Variable(binding.key, binding.value, where)
    return list(variables.values())


def to_layer(variables: Iterable[Variable], problems: list[Problem]) -> Node:
    """The fitted layer that the variables make; one that names a key wins over one that names its section.

    Args:
        variables: What is set.
        problems: Gets the names that mean nothing and the values that are not JSON.
    """
    targets = _targets()
    placed: list[tuple[Variable, _Target]] = []
    for variable in variables:
        if variable.name in CLIENT_VARIABLES:
            continue
        plain = not variable.value.lstrip().startswith("{")
        name = SHORT.get(variable.name, variable.name) if plain else variable.name
        target = _target(name, targets)
        if target is None:
            problems.append(_unknown(variable, targets))
        else:
            placed.append((variable, target))
    layer = Node({}, "")
    for variable, target in sorted(placed, key=lambda item: len(item[1].path)):
        value = _value(variable, target, problems)
        if value is not None:
            layer = merge(layer, fit(_nested(target.path, value), problems))
    return layer


def variable_name(path: Iterable[str]) -> str:
    """The variable that sets the key at ``path``; ``ENGINE`` and ``ANY`` stay as they are."""
    return PREFIX + "__".join(part if part in {ENGINE, ANY} else part.upper() for part in path)


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a variable points: a path with the engine's name in it, and the key; ``None`` inside options."""

    path: KeyPath
    key: Key | None


def _targets() -> dict[KeyPath, Key]:
    known = dict(walk(Settings))
    # An engine is found by its name, which is therefore not changed; a whole engine is a section.
    del known["engines", ENGINE, "name"]
    known["engines", ENGINE] = replace(known["engines",], shape=Shape.SECTION)
    return known


def _target(name: str, targets: Mapping[KeyPath, Key]) -> _Target | None:
    parts = name.removeprefix(PREFIX).split("__")
    names = tuple(part.lower() for part in parts)
    if names[0] != "engines" or len(names) == 1:
        key = targets.get(names) or _keyed(names, targets)
        return None if key is None else _Target(names, key)
    engine, rest = _engine_and_rest(
        parts, {path[2] for path in targets if path[1:2] == (ENGINE,) and path[2:]}
    )
    key = targets.get(("engines", ENGINE, *rest))
    inside_options = rest[:1] == ("options",) and all(rest)
    if not engine or (key is None and not inside_options):
        return None
    return _Target(("engines", engine, *rest), key)


def _keyed(names: KeyPath, targets: Mapping[KeyPath, Key]) -> Key | None:
    """The key inside one of many sections, whose own key is written in lower case."""
    for path, key in targets.items():
        if ANY not in path or len(path) != len(names):
            continue
        if all(part == name or (part == ANY and name) for part, name in zip(path, names, strict=True)):
            return key
    return None


def _engine_and_rest(parts: Sequence[str], fields: Container[str]) -> tuple[str, KeyPath]:
    """An engine's name, which may hold two underscores itself, and the path inside it."""
    end = next((i for i in range(2, len(parts)) if parts[i].lower() in fields), 2)
    return "__".join(parts[1:end]), tuple(part.lower() for part in parts[end:])


def _unknown(variable: Variable, targets: Iterable[KeyPath]) -> Problem:
    parts = variable.name.removeprefix(PREFIX).split("__")
    engine = parts[1] if parts[0] == "ENGINES" and len(parts) > 1 else "ESPEAK"
    known = [variable_name(path).replace(ENGINE, engine) for path in targets]
    near = nearest(variable.name, [*known, FILE_VARIABLE, *CLIENT_VARIABLES])
    message = f"there is no such variable{f'; did you mean {near}?' if near else ''}"
    return Problem(variable.origin if variable.origin != variable.name else "", variable.name, message)


def _value(variable: Variable, target: _Target, problems: list[Problem]) -> Node | None:
    key = target.key
    if key is not None and key.shape is Shape.VALUE:
        nothing = key.nullable and variable.value == "null"
        return Node(None if nothing else variable.value, variable.origin)
    try:
        value = parse_json(variable.value)
    except ValueError as error:
        if key is None:
            return Node(variable.value, variable.origin)
        problems.append(Problem(variable.origin, ".".join(target.path), str(error)))
        return None
    node = Node.of(value, variable.origin)
    if len(target.path) == 2 and target.path[0] == "engines" and isinstance(node.content, dict):  # noqa: PLR2004 - engines, name
        name = node.content.get("name")
        if name is not None and engine_key(str(name.content)) != engine_key(target.path[1]):
            problems.append(
                Problem(variable.origin, ".".join(target.path), "the variable's name is the engine's")
            )
            return None
    return node


def _nested(path: KeyPath, value: Node) -> Node:
    """A layer that holds ``value`` at ``path`` and nothing else, an engine as an item of its list."""
    origin = value.origin
    node = value
    for depth in range(len(path) - 1, -1, -1):
        if depth == 1 and path[0] == "engines":
            named = {"name": Node(path[1], origin)}
            entry = node.content
            node = Node([Node({**entry, **named}, origin) if isinstance(entry, dict) else node], origin)
        else:
            node = Node({path[depth]: node}, origin)
    return node
