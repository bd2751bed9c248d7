"""Plain settings as a list of keys and values."""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from services.config.node import KeyPath


def flatten(settings: Mapping[str, JsonValue], prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, JsonValue]]:
    """Every key with its value, in order; an engine's name in place of its index.

    Args:
        settings: Plain settings, as :func:`services.config.mask.masked` gives them.
        prefix: Where ``settings`` stand.
    """
    for name, value in settings.items():
        path = (*prefix, name)
        if isinstance(value, Mapping) and value:
            yield from flatten(value, path)
        elif path == ("engines",) and isinstance(value, list):
            for engine in value:
                if isinstance(engine, Mapping):
                    yield from flatten(engine, (*path, str(engine["name"])))
        else:
            yield path, value
