"""``voices`` and ``engines`` against a real Gateway."""

import itertools
import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from typer.testing import CliRunner

from services.cli.app import app


def as_json(cli: CliRunner, *arguments: str) -> list[dict[str, Any]]:
    result = cli.invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_voices(cli: CliRunner, gateway: str) -> None:
    voices = as_json(cli, "voices", "--url", gateway)
    assert [(voice["engine"], voice["id"]) for voice in voices] == [
        (engine, voice) for engine in ("TONES", "SLOW", "BROKEN") for voice in ("tone", "tone-high")
    ]
    table = cli.invoke(app, ["voices", "--url", gateway, "--model", "slow"]).stdout
    assert "tone-high" in table
    assert "alloy" in table
    assert "TONES" not in table


def test_voices_of_a_language(cli: CliRunner, gateway: str) -> None:
    assert as_json(cli, "voices", "--url", gateway, "-l", "hi-IN", "--model", "TONES")
    assert as_json(cli, "voices", "--url", gateway, "-l", "fr") == []
    result = cli.invoke(app, ["voices", "--url", gateway, "-l", "fr"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No voice" in result.stderr


def test_engines(cli: CliRunner, gateway: str) -> None:
    engines = {engine["id"]: engine for engine in as_json(cli, "engines", "--url", gateway)}
    assert list(engines) == ["TONES", "SLOW", "BROKEN"]
    assert engines["TONES"]["license"] == "Apache-2.0"
    assert engines["BROKEN"]["state"] == "failed"
    table = cli.invoke(app, ["engines", "--url", gateway]).stdout
    assert "SYNTHETIC" in table
    assert "word timings" in table
    assert "speed 0.5–2" in table
    assert "BROKEN: The option fail_load is set." in table


def test_licences_cold_starts_and_memory(
    cli: CliRunner, licensed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    tries = itertools.count()
    while True:
        engines = {engine["id"]: engine for engine in as_json(cli, "engines", "--url", licensed)}
        if engines["TONES"]["state"] == "warm":
            break
        assert next(tries) < 1_000, "it is loaded at start"
    assert engines["TONES"]["loading"]["loads"] == 1
    table = cli.invoke(app, ["engines", "--url", licensed]).stdout
    assert re.search(r"TONES.*warm.* \d+\.\d \+ \d+\.\d s .*\d+ MB .*Apache-2.0 ", table)
    assert "CPML (accepted)" in table
    assert "CPML (not accepted)" in table
    assert "CLOSED: The engine CLOSED has the licence CPML, which has not been accepted." in table
    assert "license_accepted" not in engines["TONES"]


def test_a_model_that_is_not_there(cli: CliRunner, gateway: str) -> None:
    result = cli.invoke(app, ["voices", "--url", gateway, "--model", "none-such"])
    assert result.exit_code == 1
    assert "none-such" in result.stderr
    assert "awaaztwin engines" in result.stderr


Listening = Callable[[Starlette], AbstractContextManager[str]]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (PlainTextResponse("hello"), "does not answer like an AwaazTwin server"),
        (PlainTextResponse("gone", 404), "answered 404"),
        (JSONResponse({"error": {"message": "Who are you?"}}, 401), "--api-key"),
        (JSONResponse({"error": {"message": "Full."}}, 429, {"retry-after": "7"}), "Try again in 7 s"),
        (JSONResponse({"error": {"message": "Lost.", "code": "unknown_url"}}, 404), "an AwaazTwin server?"),
        (JSONResponse([1]), "does not answer like"),
        (JSONResponse({"error": "?"}, 500), "answered 500"),
    ],
)
def test_other_servers(cli: CliRunner, listening_: Listening, answer: Response, said: str) -> None:
    async def respond(_request: Request) -> Response:
        return answer

    with listening_(Starlette(routes=[Route("/{path:path}", respond)])) as url:
        result = cli.invoke(app, ["voices", "--url", url])
    assert result.exit_code == 1
    assert said in result.stderr


def test_the_key_is_sent(cli: CliRunner, listening_: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    async def respond(request: Request) -> Response:
        return JSONResponse({"voices": [{"id": request.headers.get("authorization")}]})

    with listening_(Starlette(routes=[Route("/v1/audio/voices", respond)])) as url:
        assert as_json(cli, "voices", "--url", url) == [{"id": None}]
        assert as_json(cli, "voices", "--url", url, "--api-key", "k1") == [{"id": "Bearer k1"}]
        monkeypatch.setenv("AWAAZTWIN_API_KEY", "k2")
        assert as_json(cli, "voices", "--url", url) == [{"id": "Bearer k2"}]


def test_a_proxy_is_not_asked_for_this_machine(
    cli: CliRunner, gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert as_json(cli, "voices", "--url", gateway)
