"""Write the tables of keys in docs/configuration.md from the settings' own definitions.

python scripts/config_docs.py           writes them
python scripts/config_docs.py --check   fails when they are stale
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from services.config.keys import Key, walk
from services.config.mask import mask_url

DOCUMENT = Path(__file__).parents[1] / "docs" / "configuration.md"
BEGIN = "<!-- keys: begin; written by scripts/config_docs.py -->"
END = "<!-- keys: end -->"
WORDS = {bool: "true or false", int: "whole number", float: "number"}


def with_tables(text: str) -> str:
    """The document with its tables made anew.

    Raises:
        ValueError: The markers around the tables are missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the tables stand between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{reference()}{END}{after}"


def reference() -> str:
    """The tables, one for each section, in the order of the example file."""
    sections: dict[str, list[str]] = {}
    for path, key in walk():
        if not key.below:
            sections.setdefault(path[0], []).append(_row(".".join(path), key))
        elif len(path) == 1:
            named = " A list; `<name>` is the engine's." if key.container is list else ""
            sections[path[0]] = [key.description + named]
    return "\n".join(line for name, lines in sections.items() for line in _section(name, lines))


def _section(name: str, lines: list[str]) -> Iterator[str]:
    described = not lines[0].startswith("|")
    yield from (f"### `{name}`", "")
    if described:
        yield from (lines[0], "")
    yield from ("| Key | Type | Default | |", "| --- | --- | --- | --- |")
    yield from lines[described:]
    yield ""


def _row(path: str, key: Key) -> str:
    cells = (f"`{path}`", _type(key), _default(key), key.description)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _type(key: Key) -> str:
    words = " or ".join(_kind(kind) for kind in key.types) + _range(key.field.metadata)
    return f"{words}, or `null`" if key.nullable else words


def _kind(kind: Any) -> str:  # noqa: ANN401 - an annotation is anything
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) is dict:
        return "mapping"
    if get_origin(kind) in {list, tuple, set, frozenset}:
        return "list of text"
    if kind is SecretStr:
        return "text, masked"
    return WORDS.get(kind, "text")


def _range(metadata: list[Any]) -> str:
    """The bounds of a number, in words."""
    words: list[str] = []
    for bound in metadata:
        if isinstance(bound, annotated_types.Ge):
            words.append(f"≥ {bound.ge}")
        elif isinstance(bound, annotated_types.Gt):
            words.append(f"> {bound.gt}")
        elif isinstance(bound, annotated_types.Le):
            words.append(f"≤ {bound.le}")
    return f", {', '.join(words)}" if words else ""


def _default(key: Key) -> str:
    default = key.field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "required"
    if isinstance(default, SecretStr):
        default = mask_url(default.get_secret_value())
    return f"`{json.dumps(default, ensure_ascii=False, default=str).strip(chr(34))}`"


def main() -> int:
    """The exit status: 1 when the document is stale and only a check was asked for."""
    parser = argparse.ArgumentParser(description="Write the tables of keys in the configuration's page.")
    parser.add_argument("--check", action="store_true", help="fail when the page is stale; write nothing")
    parser.add_argument("document", nargs="?", type=Path, default=DOCUMENT)
    arguments = parser.parse_args()
    text = arguments.document.read_text(encoding="utf-8")
    fresh = with_tables(text)
    if text == fresh:
        return 0
    if arguments.check:
        print(f"{arguments.document} is stale; run: python scripts/config_docs.py", file=sys.stderr)
        return 1
    arguments.document.write_text(fresh, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
