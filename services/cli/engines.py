"""``awaaztwin engines``: the engines and what each can do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from services.cli.address import KeyOption, UrlOption, find_server
from services.cli.client import Client
from services.cli.console import output, print_json, reported

READY: Final = (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE)
"""Statuses of ``/health/ready`` with a report in the body."""

STYLES: Final[Mapping[str, str]] = {
    "warm": "green",
    "loading": "yellow",
    "failed": "red",
    "unreachable": "red",
}
"""Styles by the state of an engine."""

_COLUMNS: Final = ("Engine", "Type", "State", "Busy", "Cold start", "Memory", "Licence", "Languages", "Can")


@reported()
def engines(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """List the engines of the server: their state, and what each can do."""
    with Client(find_server(url, api_key)) as client:
        models: list[dict[str, Any]] = client.get("/v1/models").get("data", [])
        parts = client.get("/health/ready", fine=READY).get("parts", {}).get("engines", {})
    # The list also contains OpenAI's names, which are aliases of an engine.
    found = [
        {**model, **parts.get(model["id"], {})} for model in models if model.get("engine") == model["id"]
    ]
    if as_json:
        print_json(found)
        return
    table = Table(*_COLUMNS)
    for engine in found:
        table.add_row(*_cells(engine))
    output().print(table)
    for engine in found:
        if engine.get("reason"):
            output().print(Text(f"{engine['id']}: {engine['reason']}"))


def _cells(engine: Mapping[str, Any]) -> list[Text]:
    state = str(engine.get("state", "unknown"))
    busy = f"{engine.get('running', 0)} running, {engine.get('waiting', 0)} waiting"
    return [
        Text(str(engine["id"])),
        Text(str(engine.get("type", ""))),
        Text(state, STYLES.get(state, "")),
        Text(busy),
        Text(_cold_start(engine.get("loading", {}))),
        Text(_memory(engine.get("memory", {}))),
        _license(engine),
        Text(str(len(engine.get("languages", ())))),
        Text(_abilities(engine.get("capabilities", {}))),
    ]


def _cold_start(loading: Mapping[str, Any]) -> str:
    """Return the duration of the last load; empty before the first."""
    seconds, warm_up = loading.get("seconds"), loading.get("warm_up_seconds")
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if warm_up is None else f"{seconds:.1f} + {warm_up:.1f} s"


def _memory(memory: Mapping[str, Any]) -> str:
    """Return the engine's memory; empty if it has none."""
    ram, vram = memory.get("bytes", 0), memory.get("vram_bytes", 0)
    parts = [f"{ram / 1e6:,.0f} MB"] if ram else []
    return ", ".join([*parts, *([f"{vram / 1e6:,.0f} MB GPU"] if vram else [])])


def _license(engine: Mapping[str, Any]) -> Text:
    name = str(engine.get("license", ""))
    match engine.get("license_accepted"):
        case True:
            return Text(f"{name} (accepted)")
        case False:
            return Text(f"{name} (not accepted)", "red")
        case _:
            return Text(name)


def _abilities(capabilities: Mapping[str, Any]) -> str:
    named = {"cloning": "cloning", "streaming": "streaming", "word_timings": "word timings"}
    abilities = [name for key, name in named.items() if capabilities.get(key)]
    slow, fast = capabilities.get("speed_range", (1.0, 1.0))
    if slow < fast:
        abilities.append(f"speed {slow:g}–{fast:g}")
    return ", ".join(abilities)
