"""A real server's log: the lines of a request, in all of its processes, and of a speech that is cut off."""

import json
import signal
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from live import eventually
from tenants import Tenant, Tenants, own_org, settings, start_tenants
from voices import ready

Line: TypeAlias = dict[str, Any]

DEADLINE = 12.0
STALL = 2.0
ACCESS = "awaaztwin.access"
SENTENCE = "This is a sentence. "


def synthetic(name: str, **options: Any) -> dict[str, Any]:
    given = {"base_ms": 20, "item_ms": 0, "seconds_per_char": 0.02, **options}
    return {"name": name, "type": "SYNTHETIC", "batching": {"max_batch_size": 8}, "options": given}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Tenants, None, None]:
    given = settings(
        engines=[
            {"name": "ESPEAK", "type": "ESPEAK"},
            synthetic("TONE", fail_on="FAIL"),
            synthetic("SLOW", base_ms=1_000),
            synthetic("FRAIL", crash_on="CRASH"),
            synthetic("GUSH", seconds_per_char=1.0),
        ],
        server={
            "log_format": "json",
            "request_timeout_seconds": DEADLINE,
            "shutdown_grace_seconds": 1.0,
        },
        limits={"client_stall_timeout_seconds": STALL},
        auth={"cache_seconds": 1.0},
    )
    tenants = start_tenants(tmp_path_factory.mktemp("logs"), given)
    yield tenants
    tenants.server.stop()


@pytest.fixture
def own(tmp_path: Path) -> Generator[Tenants, None, None]:
    """A server that the test may stop."""
    server = {"log_format": "json", "shutdown_grace_seconds": 1.0}
    tenants = start_tenants(tmp_path, settings(engines=[synthetic("SLOW", base_ms=1_000)], server=server))
    yield tenants
    tenants.server.stop()


def lines(tenants: Tenants) -> Iterator[Line]:
    """What the server has logged so far, whole lines only."""
    for line in tenants.server.log.read_text(errors="replace").split("\n")[:-1]:
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue  # what was written before the settings were read


def of_request(tenants: Tenants, request_id: str) -> list[Line]:
    """The lines of a request, once it has ended."""
    found: list[Line] = []

    def ended() -> bool:
        found[:] = [line for line in lines(tenants) if line.get("request_id") == request_id]
        return any(is_access(line) for line in found)

    eventually(ended)
    return found


def is_access(line: Line) -> bool:
    return line["logger"] == ACCESS and line["level"] == "info"


def told(tenants: Tenants, request_id: str) -> list[str]:
    """The messages of a request but for its access line."""
    return [line["message"] for line in of_request(tenants, request_id) if not is_access(line)]


def body(model: str, text: str, **more: Any) -> dict[str, Any]:
    voice = "en-us" if model == "ESPEAK" else "tone"
    return {"model": model, "voice": voice, "input": text, "response_format": "pcm", **more}


def say(tenants: Tenants, org: Tenant, request_id: str, model: str, text: str, **more: Any) -> httpx.Response:
    with tenants.client(org) as client:
        return client.post(
            "/v1/audio/speech", json=body(model, text, **more), headers={"x-request-id": request_id}
        )


@contextmanager
def begun(
    tenants: Tenants, org: Tenant, request_id: str, model: str, text: str, **more: Any
) -> Generator[Iterator[bytes], None, None]:
    """An answer whose first bytes have come."""
    headers = {"x-request-id": request_id}
    with (
        tenants.client(org) as client,
        client.stream("POST", "/v1/audio/speech", json=body(model, text, **more), headers=headers) as answer,
    ):
        assert answer.status_code == 200
        chunks = answer.iter_raw()
        next(chunks)
        yield chunks


def is_cut(chunks: Iterator[bytes]) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        list(chunks)


def test_requests_at_the_same_time_do_not_mix(running: Tenants) -> None:
    """Their sentences share the engine's batches, too."""
    wanted = {f"{org.name[0]}-{number}": org for number in range(8) for org in (running.a, running.b)}

    def ask(request_id: str) -> int:
        engine = "TONE" if request_id.endswith(("0", "2", "4", "6")) else "SLOW"
        return say(running, wanted[request_id], request_id, engine, SENTENCE * 2).status_code

    with ThreadPoolExecutor(len(wanted)) as pool:
        assert set(pool.map(ask, wanted)) == {200}
    for request_id, org in wanted.items():
        (line,) = of_request(running, request_id)
        assert line["org"] == org.id
        assert line["engine"] == ("TONE" if int(request_id[-1]) % 2 == 0 else "SLOW")
        assert line["message"].startswith("POST /v1/audio/speech 200 first=")
        assert request_id not in line["message"]


def test_an_engines_line_is_of_the_request_it_speaks_for(running: Tenants) -> None:
    assert say(running, running.a, "warms-up", "ESPEAK", "Hello.").status_code == 200
    for worker in running.server.worker("engine_espeak").children():
        worker.kill()
    assert say(running, running.b, "finds-it-dead", "ESPEAK", "Hello again.").status_code == 200
    own = [line for line in of_request(running, "finds-it-dead") if not is_access(line)]
    assert [line["logger"] for line in own] == ["engines.espeak.pool"]
    assert "died; starting another" in own[0]["message"]
    assert all(
        (line["org"], line["engine"]) == (running.b.id, "ESPEAK")
        for line in of_request(running, "finds-it-dead")
    )


def test_what_a_request_starts_for_all_is_of_none(running: Tenants) -> None:
    """An engine's load, and a voice's preparation by a chore that the request woke."""
    with running.client(running.a) as client:
        client.headers["x-request-id"] = "makes-a-voice"
        voice = ready(client, "Made for its lines")
    in_background = [
        line
        for line in lines(running)
        if line["message"].startswith(("engine ESPEAK loaded", f"the voice {voice['id']} is ready"))
    ]
    assert len(in_background) > 1
    assert not [line for line in in_background if {"request_id", "org"} & line.keys()]


def test_a_refused_caller_has_no_organisation(running: Tenants) -> None:
    headers = {"x-request-id": "a-stranger", "authorization": "Bearer wrong"}
    assert httpx.get(f"{running.server.url}/voices", headers=headers).status_code == 401
    (line,) = of_request(running, "a-stranger")
    assert not {"org", "engine"} & line.keys()


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
def test_an_engine_that_fails_midway(running: Tenants, stream_format: str) -> None:
    request_id = f"fails-{stream_format}"
    text = SENTENCE + "Here it will FAIL."
    with begun(running, running.a, request_id, "TONE", text, stream_format=stream_format) as chunks:
        if stream_format == "audio":
            is_cut(chunks)
        else:
            assert b'"type":"error"' in b"".join(chunks)
    (message,) = told(running, request_id)
    assert message.startswith("speech was cut off: The text holds 'FAIL'. (after ")
    assert all(line["org"] == running.a.id for line in of_request(running, request_id))


def test_a_runner_that_is_lost(running: Tenants) -> None:
    with begun(running, running.a, "lost", "FRAIL", SENTENCE * 20 + "Here it will CRASH.") as chunks:
        is_cut(chunks)
    (message,) = told(running, "lost")
    assert message.startswith("speech was cut off: The runner of FRAIL cannot be reached or was lost.")


def test_a_client_that_leaves(running: Tenants) -> None:
    with begun(running, running.a, "leaves", "SLOW", SENTENCE * 200):
        pass
    (message,) = told(running, "leaves")
    assert message.startswith("speech was cut off: the client disconnected (after ")


def test_a_client_that_does_not_read(running: Tenants) -> None:
    with begun(running, running.a, "stalls", "GUSH", SENTENCE * 40):
        (message,) = told(running, "stalls")
    assert message.startswith(f"speech was cut off: The client did not read for {STALL:g} s. (after ")


def test_a_request_that_takes_too_long(running: Tenants) -> None:
    with begun(running, running.a, "late", "SLOW", SENTENCE * 200) as chunks:
        is_cut(chunks)
    (message,) = told(running, "late")
    assert message.startswith(f"speech was cut off: The request took longer than {DEADLINE:g} s. (after ")


def test_a_caller_whose_key_ends(running: Tenants) -> None:
    with own_org(running) as org, begun(running, org, "revoked", "SLOW", SENTENCE * 200) as chunks:
        with running.client(running.operator) as client:
            client.delete(f"/admin/keys/{org.key_id}", params={"org_id": org.id})
        is_cut(chunks)
    (message,) = told(running, "revoked")
    assert message.startswith("a response was cut off: ")


def test_a_server_that_stops(own: Tenants) -> None:
    with begun(own, own.a, "stopped", "SLOW", SENTENCE * 200) as chunks:
        own.server.process.send_signal(signal.SIGTERM)
        is_cut(chunks)
    assert told(own, "stopped") == ["the request was cut off: the server is stopping"]
    own.server.stop()
    assert not [line for line in lines(own) if "exception" in line]
