"""Watching a voice, on connections that break, end early, or fall silent."""

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from services.cli import client as client_module
from services.cli.address import ServerAddress
from services.cli.client import Client
from services.cli.console import CommandError
from services.cli.voice import watch as voice_watch
from services.cli.voice.watch import check_ready, settled, watch

Listening = Callable[[Starlette], AbstractContextManager[str]]


def voice(state: str = "processing", reason: str | None = None, **engines: str) -> dict[str, Any]:
    shown = [{"engine": name, "state": state, "reason": None} for name, state in engines.items()]
    return {"id": "voice_1", "name": "Asha", "state": state, "reason": reason, "engines": shown, "samples": 1}


def event(shown: object, name: str = "voice") -> bytes:
    return f"event: {name}\ndata: {json.dumps(shown)}\n\n".encode()


READY = event(voice("ready", E="ready"))


def watched(
    listening: Listening, streams: Sequence[Sequence[bytes]], *, silent: int = 0, patience: float = 30.0
) -> dict[str, Any]:
    """What is seen of streams, one for each connection, the last again and again; ``silent`` never end."""
    calls = iter(range(1_000))

    async def respond(_request: Request) -> StreamingResponse:
        call = next(calls)

        async def pieces() -> AsyncGenerator[bytes, None]:
            for piece in streams[min(call, len(streams) - 1)]:
                yield piece
            if call < silent:
                await anyio.sleep_forever()

        return StreamingResponse(pieces(), media_type="text/event-stream")

    app = Starlette(routes=[Route("/voices/voice_1/events", respond)])
    with listening(app) as url, Client(ServerAddress(url)) as client:
        return dict(watch(client, voice(), patience))


def test_a_stream_in_pieces_with_comments(listening_: Listening, capfd: pytest.CaptureFixture[str]) -> None:
    whole = b": hello\n\n" + event(voice(E="pending")) + event(voice(E="pending")) + READY
    seen = watched(listening_, [[whole[:20], whole[20:75], whole[75:]]])
    assert seen["state"] == "ready"
    lines = capfd.readouterr().err.splitlines()
    assert lines == ["Asha: processing (E pending)", "Asha: ready (E ready)"]


def test_a_stream_that_ends_early_is_taken_up_again(listening_: Listening) -> None:
    assert watched(listening_, [[], [event(voice())], [READY]])["state"] == "ready"


def test_a_silent_stream_is_taken_up_again(listening_: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_watch, "SILENCE_SECONDS", 0.2)
    assert watched(listening_, [[event(voice())], [], [READY]], silent=2)["state"] == "ready"


@pytest.mark.parametrize("silent", [0, 1_000])
def test_patience_ends(listening_: Listening, silent: int) -> None:
    with pytest.raises(CommandError, match=r"not prepared within 0\.7 s") as caught:
        watched(listening_, [[event(voice(E="pending"))]], silent=silent, patience=0.7)
    assert "awaaztwin voice show voice_1" in str(caught.value.hint)
    with pytest.raises(CommandError) as caught:
        watched(listening_, [[event(voice())]], silent=silent, patience=0.7)
    assert "awaaztwin engines" in str(caught.value.hint)


def test_a_voice_that_is_deleted_meanwhile(listening_: Listening) -> None:
    gone = event({"error": {"message": "There is no voice 'voice_1'."}}, "error")
    with pytest.raises(CommandError, match="no voice 'voice_1'"):
        watched(listening_, [[event(voice()), gone]])


def test_an_event_without_an_end(listening_: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_ANSWER", 1_000)
    with pytest.raises(CommandError, match="does not answer like"):
        watched(listening_, [[b"data: "] + [b"a" * 100] * 20])


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (voice("ready"), True),
        (voice("ready", A="ready", B="processing"), False),
        (voice("pending"), False),
        (voice("pending", "It is waiting for a consent."), True),
        (voice("failed", "Noise.", A="failed"), True),
    ],
)
def test_when_nothing_is_left_to_come(shown: dict[str, Any], expected: bool) -> None:
    assert settled(shown) is expected


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ({**voice("pending", "It has none."), "samples": 0}, "voice sample add voice_1"),
        (voice("pending", "It is waiting for a consent."), "voice consent voice_1"),
        ({**voice("pending", "Unlike."), "consent": {"id": "cons_1"}}, "voice show voice_1"),
        (voice("failed"), "voice show voice_1"),
    ],
)
def test_what_to_do_about_a_voice_that_is_not_ready(shown: dict[str, Any], said: str) -> None:
    with pytest.raises(CommandError, match=f"Asha is {shown['state']}") as caught:
        check_ready(shown)
    assert said in str(caught.value.hint)
    check_ready(voice("ready"))
