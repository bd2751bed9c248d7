"""JSON as people give it in a variable: no duplicate keys, no NaN, no bottomless nesting."""

import json
from typing import NoReturn, cast

from pydantic import JsonValue


def parse_json(text: str) -> JsonValue:
    """The value that ``text`` holds.

    Raises:
        ValueError: It is not JSON; the message doesn't repeat it.
    """
    try:
        value = json.loads(text, object_pairs_hook=_mapping, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not valid JSON (at character {error.pos + 1})") from None
    except RecursionError:
        raise ValueError("is nested too deep") from None
    return cast("JsonValue", value)


def _mapping(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("contains the same key twice")
    return mapping


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("contains NaN or an infinity, which JSON lacks")
