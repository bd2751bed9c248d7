"""Draw in docs/architecture.md which rooms of ``services`` import which, read from the code.

python scripts/rooms.py           writes the drawing
python scripts/rooms.py --check   fails when it is stale
"""

import argparse
import ast
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).parents[1]
PACKAGE = "services"
DOCUMENT = ROOT / "docs" / "architecture.md"
BEGIN = "<!-- rooms: begin; written by scripts/rooms.py -->"
END = "<!-- rooms: end -->"

Imports: TypeAlias = Mapping[str, AbstractSet[str]]
"""The rooms that each room imports. A room is a folder of ``services``, or a module that is in none."""


def room_imports() -> Imports:
    """The imports between rooms, wherever in a module they are made."""
    rooms = {path.stem for path in (ROOT / PACKAGE).iterdir() if _is_room(path)}
    found: dict[str, set[str]] = {room: set() for room in rooms}
    for path in (ROOT / PACKAGE).rglob("*.py"):
        room = path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py")
        if room in rooms:
            found[room] |= set(_imported(path)) & rooms - {room}
    return found


def floors(imports: Imports) -> list[list[str]]:
    """The rooms from the bottom up: each imports only from floors below its own.

    Raises:
        ValueError: Rooms import each other in a circle.
    """

    @cache
    def height(room: str) -> int:
        return max((height(below) + 1 for below in imports[room]), default=0)

    try:
        heights = {room: height(room) for room in imports}
    except RecursionError as error:
        raise ValueError("rooms import each other in a circle") from error
    return [
        sorted(room for room, at in heights.items() if at == floor)
        for floor in range(max(heights.values()) + 1)
    ]


def drawing(imports: Imports) -> str:
    """The floors as text, and the arrows as a Mermaid flowchart without those that a longer way implies."""
    rows = [f"{number:>2}  {'  '.join(rooms)}" for number, rooms in enumerate(floors(imports))]
    text = "\n".join(reversed(rows))
    arrows = "\n".join(
        f"    {room} --> {below}" for room in sorted(imports) for below in sorted(_direct(room, imports))
    )
    return f"```\n{text}\n```\n\n```mermaid\nflowchart TD\n{arrows}\n```\n"


def _is_room(path: Path) -> bool:
    return path.name != "__init__.py" and (path.suffix == ".py" or (path / "__init__.py").exists())


def _imported(path: Path) -> Iterator[str]:
    """The first names below ``services`` that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith(f"{PACKAGE}."))


def _direct(room: str, imports: Imports) -> AbstractSet[str]:
    """The rooms that ``room`` imports and reaches no other way."""

    def reached(start: str) -> set[str]:
        return {start}.union(*(reached(below) for below in imports[start]))

    below = set(imports[room])
    return {one for one in below if not any(one in reached(other) for other in below - {one})}


def main() -> int:
    """The exit status: 1 when the document is stale and only a check was asked for."""
    parser = argparse.ArgumentParser(description="Draw the rooms of services in the architecture's page.")
    parser.add_argument("--check", action="store_true", help="fail when the page is stale; write nothing")
    arguments = parser.parse_args()
    text = DOCUMENT.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the drawing stands between {BEGIN} and {END}")
    fresh = f"{before}{BEGIN}\n{drawing(room_imports())}{END}{after}"
    if text == fresh:
        return 0
    if arguments.check:
        print(f"{DOCUMENT.name} is stale; run: python scripts/rooms.py")
        return 1
    DOCUMENT.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
