"""Checking layers of settings against the models, and merging them."""

from services.config.keys import ANY, ENGINE, SETTINGS, Key, walk
from services.config.node import KeyPath, Node, engine_key, merge
from services.config.problems import Problem, nearest, suggestion


def fit(layer: Node, problems: list[Problem]) -> Node:
    """Return a layer without unknown keys; lists of engines become mappings by :func:`engine_key`.

    Args:
        layer: The layer as it was read; a mapping.
        problems: Collects the problems.
    """
    return _section(layer, problems, SETTINGS, ())


def stack(below: Node, above: Node, problems: list[Problem]) -> Node:
    """Merge two fitted layers. An engine that ``below`` lacks is added if it has a ``type``.

    Args:
        below: The lower layer.
        above: The layer that overrides it.
        problems: Collects the problems.
    """
    if "engines" not in above.entries:
        return merge(below, above)
    given = above.entries["engines"]
    known = below.entries["engines"].entries if "engines" in below.entries else {}
    engines: dict[str, Node] = {}
    for key, engine in given.entries.items():
        entries = dict(engine.entries)
        name = str(entries["name"].content)
        if key in known:
            del entries["name"]
        elif "type" not in entries:
            near = nearest(name, (str(node.entries["name"].content) for node in known.values()))
            message = f"there is no such engine{suggestion(near)} (a new one needs its `type`)"
            problems.append(Problem(engine.origin, f"engines.{name}", message))
            continue
        engines[key] = Node(entries, engine.origin)
    return merge(below, Node({**above.entries, "engines": Node(engines, given.origin)}, above.origin))


def _value(node: Node, problems: list[Problem], key: Key, path: KeyPath) -> Node | None:
    """Return the value of a node for ``key``; ``None`` if it is empty or invalid."""
    if key.container is None:
        if not isinstance(node.content, bool) or {int, float}.isdisjoint(key.types):
            return node
        message = "should be a number, not true or false"
    elif node.content is None:
        # For example a section whose keys are all commented out.
        return None
    elif isinstance(node.content, key.container):
        if not key.below:
            return node
        return (_section if key.container is dict else _by_name)(node, problems, key, path)
    elif key.container is list:
        message = "should be a list with a `- name: …` for each engine"
    else:
        message = f"should be a mapping of {'names to mappings' if ANY in key.below else 'keys to values'}"
    problems.append(Problem(node.origin, ".".join(path), message))
    return None


def _section(node: Node, problems: list[Problem], key: Key, path: KeyPath) -> Node:
    fitted: dict[str, Node] = {}
    for name, child in node.entries.items():
        if (inner := key.child(name)) is None:
            problems.append(Problem(child.origin, ".".join((*path, name)), _unknown(name, key, path)))
            continue
        # A section that the settings define exists even without keys.
        given = Node({}, child.origin) if child.content is None and ANY in key.below else child
        if (value := _value(given, problems, inner, (*path, name))) is not None:
            fitted[name] = value
    return Node(fitted, node.origin)


def _by_name(node: Node, problems: list[Problem], key: Key, path: KeyPath) -> Node:
    fitted: dict[str, Node] = {}
    for item in node.content if isinstance(node.content, list) else []:
        name = item.entries["name"].content if "name" in item.entries else None
        if not isinstance(name, str):
            problems.append(Problem(item.origin, ".".join(path), "each engine needs a `name`, a text"))
            continue
        engine = _section(item, problems, key.below[ENGINE], (*path, name))
        if (other := fitted.setdefault(engine_key(name), engine)) is not engine:
            message = f"the same name is at {other.origin}; case, `-`, `.` and `_` do not distinguish names"
            problems.append(Problem(item.origin, ".".join((*path, name)), message))
    return Node(fitted, node.origin)


def _unknown(name: str, section: Key, path: KeyPath) -> str:
    """Return the message about an unknown key, with a suggestion."""
    same = (".".join(other) for other, _ in walk() if other[-1] == name and other[:-1] != path)
    return f"there is no such key{suggestion(next(same, None) or nearest(name, section.below))}"
