"""What the commands show of a server's words: as they are, and without power over the terminal."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from rich.table import Table
from rich.text import Text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp
from typer.testing import CliRunner

from services.cli.app import app
from services.cli.console import messages, output, print_json
from services.escaping import escaped

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eesrever\u2066\u2028\x85line\rover"


def harmless(text: str) -> bool:
    return all(escaped(line) == line for line in text.split("\n"))


def test_tables_and_messages(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("Name", HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE, Text(HOSTILE))
    output().print(table)
    output().print(HOSTILE)
    messages().print(Text(HOSTILE))
    shown = capsys.readouterr()
    assert harmless(shown.out)
    assert harmless(shown.err)
    assert "\\x1b[2J" in shown.out
    assert "\\u202eesrever" in shown.out
    assert "\\u202eesrever" in shown.err


def test_a_name_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    output().print("[link=https://evil.example]Click[/link] :skull: [/]")
    assert capsys.readouterr().out == "[link=https://evil.example]Click[/link] :skull: [/]\n"


def test_json_keeps_the_value(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": HOSTILE + "\ud800 नमस्ते"})
    text = capsys.readouterr().out
    assert harmless(text)
    assert "नमस्ते" in text
    assert json.loads(text) == {"name": HOSTILE + "\ud800 नमस्ते"}


@pytest.mark.parametrize("arguments", [["voices"], ["voice", "list"], ["voice", "script"], ["engines"]])
def test_a_hostile_server(
    listening_: Callable[[ASGIApp], AbstractContextManager[str]], arguments: list[str]
) -> None:
    async def answer(_request: Request) -> JSONResponse:
        voice = {"id": HOSTILE, "name": HOSTILE, "state": HOSTILE, "languages": [HOSTILE], "engine": HOSTILE}
        body = {"error": {"message": HOSTILE}, "data": [voice], "voices": [voice], "sentences": [HOSTILE]}
        return JSONResponse(body, 404 if "engines" in arguments else 200)

    with listening_(Starlette(routes=[Route("/{path:path}", answer)])) as url:
        result = CliRunner().invoke(app, [*arguments, "--url", url])
    said = result.stdout + result.stderr
    assert "\\x1b[2J" in said or result.exception is not None
    assert harmless(said)
