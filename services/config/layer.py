"""One layer of settings made to fit the models: known keys, right shapes, engines by name."""

from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import BaseModel

from services.config.keys import Key, Shape, keys_of, walk
from services.config.names import engine_key, nearest
from services.config.node import KeyPath, Node, merge
from services.config.problems import Problem
from services.config.settings import Settings

EXPECTED: Final = {
    Shape.SECTION: "should be a mapping of keys to values",
    Shape.MAPPING: "should be a mapping of keys to values",
    Shape.KEYED: "should be a mapping of names to mappings",
    Shape.NAMED: "should be a list with a `- name: …` for each engine",
}


def fit(root: Node, problems: list[Problem]) -> Node:
    """A layer without what doesn't belong in it; lists of engines become mappings by :func:`engine_key`.

    Args:
        root: The layer as it was read; a mapping.
        problems: Gets what is wrong with it.
    """
    return _section(root, Settings, (), problems)


def stack(below: Node, above: Node, problems: list[Problem]) -> Node:
    """A fitted layer over another one. An engine that ``below`` lacks is added when it says its ``type``.

    Args:
        below: What is there already.
        above: What is laid over it.
        problems: Gets the engines that cannot be added.
    """
    known, given = dict(_engines(below)), dict(_engines(above))
    changed: dict[str, Node] = {}
    for key, engine in given.items():
        entries = _mapping(engine)
        if key in known:
            changed[key] = Node({n: v for n, v in entries.items() if n != "name"}, engine.origin)
        elif "type" in entries:
            changed[key] = engine
        else:
            name = str(entries["name"].content)
            near = nearest(name, (str(_mapping(node)["name"].content) for node in known.values()))
            message = f"there is no such engine{f'; did you mean {near}?' if near else ''}"
            problems.append(
                Problem(engine.origin, f"engines.{name}", f"{message} (a new one needs its `type`)")
            )
    if given:
        engines = Node(dict(changed), _mapping(above)["engines"].origin)
        above = Node({**_mapping(above), "engines": engines}, above.origin)
    return merge(below, above)


def _section(node: Node, model: type[BaseModel], path: KeyPath, problems: list[Problem]) -> Node:
    fitted: dict[str, Node] = {}
    keys = keys_of(model)
    for name, child in _mapping(node).items():
        key = keys.get(name)
        if key is None:
            problems.append(Problem(child.origin, ".".join((*path, name)), _unknown(name, path, keys)))
        elif (value := _value(child, key, (*path, name), problems)) is not None:
            fitted[name] = value
    return Node(fitted, node.origin)


def _value(node: Node, key: Key, path: KeyPath, problems: list[Problem]) -> Node | None:
    """The node made to fit ``key``; ``None`` when it gives nothing."""
    if key.shape is Shape.VALUE:
        if isinstance(node.content, bool) and (int in key.types or float in key.types):
            problems.append(Problem(node.origin, ".".join(path), "should be a number, not true or false"))
            return None
        return node
    if node.content is None and not key.nullable:
        # A section whose keys are all commented out.
        return None
    if not isinstance(node.content, list if key.shape is Shape.NAMED else dict):
        problems.append(Problem(node.origin, ".".join(path), EXPECTED[key.shape]))
        return None
    if key.model is None:
        return node
    inner = {Shape.NAMED: _named, Shape.KEYED: _keyed}.get(key.shape, _section)
    return inner(node, key.model, path, problems)


def _keyed(node: Node, model: type[BaseModel], path: KeyPath, problems: list[Problem]) -> Node:
    fitted: dict[str, Node] = {}
    for name, child in _mapping(node).items():
        if child.content is None or isinstance(child.content, dict):
            fitted[name] = _section(child, model, (*path, name), problems)
        else:
            problems.append(Problem(child.origin, ".".join((*path, name)), EXPECTED[Shape.SECTION]))
    return Node(fitted, node.origin)


def _named(node: Node, model: type[BaseModel], path: KeyPath, problems: list[Problem]) -> Node:
    fitted: dict[str, Node] = {}
    for item in node.content if isinstance(node.content, list) else []:
        name = _mapping(item)["name"].content if "name" in _mapping(item) else None
        if not isinstance(name, str):
            problems.append(Problem(item.origin, ".".join(path), "each engine needs a `name`, a text"))
            continue
        entry = _section(item, model, (*path, name), problems)
        if (other := fitted.get(engine_key(name))) is not None:
            message = f"the same name is at {other.origin}; case, `-`, `.` and `_` do not distinguish names"
            problems.append(Problem(item.origin, ".".join((*path, name)), message))
        fitted.setdefault(engine_key(name), entry)
    return Node(fitted, node.origin)


def _unknown(name: str, path: KeyPath, siblings: Iterable[str]) -> str:
    """Words for a key that is not there, with the one that was probably meant."""
    everywhere = [(key_path, key_path[-1]) for key_path, _ in walk(Settings)]
    same = [".".join(key_path) for key_path, last in everywhere if last == name and key_path[:-1] != path]
    near = same[0] if same else nearest(name, siblings)
    return f"there is no such key{f'; did you mean {near}?' if near else ''}"


def _engines(layer: Node) -> Iterator[tuple[str, Node]]:
    engines = _mapping(layer).get("engines")
    if engines is not None:
        yield from _mapping(engines).items()


def _mapping(node: Node) -> dict[str, Node]:
    return node.content if isinstance(node.content, dict) else {}
