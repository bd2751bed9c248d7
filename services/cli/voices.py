"""``awaaztwin voices``: the voices of the server."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from services.cli.address import KeyOption, UrlOption, find_server
from services.cli.client import Client
from services.cli.console import messages, output, print_json, reported

_COLUMNS = ("Voice", "Name", "Languages", "Gender", "Also called", "Engine")


@reported()
def voices(
    *,
    model: Annotated[str | None, typer.Option("--model", help="Only the voices of this model.")] = None,
    language: Annotated[
        str | None, typer.Option("--language", "-l", help="Only voices of this language, such as `hi`.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """List the voices of the server."""
    given = {"model": model, "language": language}
    params = {name: value for name, value in given.items() if value is not None}
    with Client(find_server(url, api_key)) as client:
        answer = client.get("/v1/audio/voices", params)
    found: list[Mapping[str, Any]] = answer.get("voices", [])
    if as_json:
        print_json(found)
        return
    if not found:
        messages().print("No voice matches.")
        return
    table = Table(*_COLUMNS)
    for voice in found:
        table.add_row(*(Text(cell) for cell in _cells(voice)))
    output().print(table)


def _cells(voice: Mapping[str, Any]) -> list[str]:
    return [
        str(voice.get("id", "")),
        str(voice.get("name", "")),
        ", ".join(voice.get("languages") or ["any"]),
        str(voice.get("gender") or ""),
        ", ".join(voice.get("aliases") or []),
        str(voice.get("engine", "")),
    ]
