"""What a stranger sends to a real server: connections end, memory stays, others are served."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from services.app import create_app
from services.config import load_settings
from services.http.body_pace import BodyPace
from services.middleware import Unexpected

from live import ENGINES, Server, start
from raw_http import Client, Echo, connected, listening

MEBIBYTE = 1024 * 1024
POST = b"POST /v1/audio/speech HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
GET = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server, None, None]:
    """A server whose patience is short."""
    settings = {
        "engines": ENGINES[1:2],
        "server": {"head_timeout_seconds": 3.0},
        "limits": {"body_stall_timeout_seconds": 2.0, "max_body_bytes": 65_536},
    }
    settings["limits"]["max_input_chars"] = 4_096  # type: ignore[index]  # a dictionary
    running = start(tmp_path_factory.mktemp("strict"), settings)
    yield running
    running.stop()


def port_of(server: Server) -> int:
    port = httpx.URL(server.url).port
    assert port is not None
    return port


async def alive(port: int) -> bool:
    async with connected(port) as client:
        await client.send(GET)
        return (await client.answer()).status == 200


@pytest.mark.parametrize(
    ("start_of_head", "again"),
    [
        pytest.param(POST, b"a:\r\n" * 16_384, id="headers"),
        pytest.param(POST + b"a: ", b"x" * 65_536, id="a value"),
        pytest.param(b"GET /", b"x" * 65_536, id="a URL"),
    ],
)
async def test_an_endless_head_costs_no_memory(strict: Server, start_of_head: bytes, again: bytes) -> None:
    gateway = psutil.Process(strict.worker("Gateway").pid)
    assert await alive(port_of(strict))
    before = gateway.memory_info().rss
    for _ in range(4):
        async with connected(port_of(strict)) as client:
            await client.send(start_of_head)
            sent = 0
            while sent < 32 * MEBIBYTE and await client.send(again):
                sent += len(again)
                await asyncio.sleep(0)
            assert sent < 32 * MEBIBYTE
    assert await alive(port_of(strict))
    assert gateway.memory_info().rss - before < 16 * MEBIBYTE


@pytest.mark.parametrize("data", [b"", POST, GET + POST], ids=["nothing", "half a head", "and half a second"])
async def test_a_client_that_says_no_more_is_hung_up_on(strict: Server, data: bytes) -> None:
    async with connected(port_of(strict)) as client:
        await client.send(data)
        if data.startswith(GET):
            assert (await client.answer()).status == 200
        answer = await client.answer()
        assert answer.status == (408 if data else 0)
        assert await client.ended()


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(POST + b"content-length: 1000\r\n\r\n{", id="a length"),
        pytest.param(POST + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n", id="chunks"),
        pytest.param(
            POST.replace(b"/v1/audio/speech", b"/v1/audio/voices").replace(
                b"application/json", b"multipart/form-data; boundary=x"
            )
            + b"content-length: 1000\r\n\r\n--x\r\n",
            id="a form",
        ),
    ],
)
async def test_a_body_that_stops_is_ended(strict: Server, head: bytes) -> None:
    async with connected(port_of(strict)) as client:
        await client.send(head)
        answer = await client.answer()
        assert (answer.status, answer.error["code"]) == (408, "request_timeout")
        assert answer.headers["connection"] == "close"
        assert "x-request-id" in answer.headers
        assert await client.ended()


async def test_a_body_that_trickles_is_ended(strict: Server) -> None:
    """Though a part of it comes all the time."""
    async with connected(port_of(strict)) as client:
        await client.send(POST + b"content-length: 60000\r\n\r\n{")
        answering = asyncio.create_task(client.answer())
        while not answering.done() and await client.send(b" "):
            await asyncio.sleep(0.05)
        answer = await answering
        assert (answer.status, answer.error["code"]) == (408, "request_timeout")


async def test_a_runner_is_as_strict(strict: Server) -> None:
    runner = strict.worker("engine_tone")
    paths = [
        connection.laddr
        for connection in runner.net_connections("unix")
        if isinstance(connection.laddr, str) and connection.laddr.endswith(".sock")
    ]
    reader, writer = await asyncio.open_unix_connection(paths[0])
    client = Client(reader, writer)
    await client.send(b"GET /runner/engine HTTP/1.1\r\nhost: a\r\n" + b"a:\r\n" * 200)
    assert (await client.answer()).status == 431
    client.close()
    client = Client(*await asyncio.open_unix_connection(paths[0]))
    await client.send(b"POST /runner/synthesize HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{")
    assert (await client.answer()).status == 408
    client.close()


async def test_an_answer_that_leaves_the_body_unread_says_so(strict: Server) -> None:
    async with connected(port_of(strict)) as client:
        await client.send(b"POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.error["code"]) == (404, "unknown_url")
        assert answer.headers["connection"] == "close"
        assert await client.ended()


async def test_the_answer_reaches_a_client_that_is_still_sending(strict: Server) -> None:
    async with connected(port_of(strict)) as client:
        await client.send(POST + b"content-length: 8000000\r\n\r\n")
        answering = asyncio.create_task(client.answer())
        while not answering.done() and await client.send(b" " * 10_000):
            await asyncio.sleep(0.001)
        answer = await answering
        assert (answer.status, answer.error["code"]) == (413, "body_too_large")
        assert answer.headers["connection"] == "close"


async def test_a_body_that_is_not_wanted_is_not_asked_for(strict: Server) -> None:
    async with connected(port_of(strict)) as client:
        await client.send(POST + b"content-length: 8000000\r\nexpect: 100-continue\r\n\r\n")
        answer = await client.answer()
        assert answer.status == 413
        assert answer.headers["connection"] == "close"
        assert await client.ended()


async def test_a_body_that_came_with_its_head_keeps_the_connection(strict: Server) -> None:
    """Whether anybody reads it or not."""
    async with connected(port_of(strict)) as client:
        for _ in range(3):
            await client.send(b"POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\nabc")
            answer = await client.answer()
            assert answer.status == 404
            assert "connection" not in answer.headers


@pytest.fixture
async def lifeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[int, None]:
    """The whole app without what its lifespan opens: every route that works with that fails."""
    path = tmp_path / "configuration.yaml"
    path.write_text('server: {cors_origins: ["http://page.example"]}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    async with listening(create_app(load_settings(path, environ={}), lambda _: "")) as port:
        yield port


async def test_after_an_error_of_our_own_the_connection_goes_on(lifeless: int) -> None:
    ask = b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\norigin: http://page.example\r\n\r\n"
    async with connected(lifeless) as client:
        for _ in range(3):
            await client.send(ask)
            answer = await client.answer()
            assert (answer.status, answer.error["type"]) == (500, "server_error")
            assert "connection" not in answer.headers
            # As every other answer: a person who reports it can name it, and a page can read it.
            assert answer.headers["x-request-id"].startswith("req_")
            assert answer.headers["access-control-allow-origin"] == "http://page.example"


async def test_an_error_in_the_midst_of_an_answer_cuts_it() -> None:
    async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError

    async with listening(Unexpected(breaks)) as port, connected(port) as client:
        await client.send(GET)
        received = await client.reader.read()
        assert received.endswith(b"4\r\nhalf\r\n"), "no last chunk: nobody takes it for whole"


async def test_an_error_after_the_answer_leaves_the_connection() -> None:
    echo = Echo()

    async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
        await echo(scope, receive, send)
        raise RuntimeError

    async with listening(Unexpected(breaks)) as port, connected(port) as client:
        for _ in range(2):
            await client.send(GET)
            assert (await client.answer()).status == 200


async def test_a_body_at_its_own_pace_is_taken() -> None:
    """Slow, but not slower than allowed; the whole takes longer than one part may."""
    app: ASGIApp = BodyPace(Echo(), stall_seconds=5.0, least_rate=1, longest=60.0)
    async with listening(app) as port, connected(port) as client:
        await client.send(POST + b"content-length: 40\r\n\r\n")
        for _ in range(4):
            await asyncio.sleep(0.05)
            await client.send(b"x" * 10)
        answer: dict[str, Any] = json.loads((await client.answer()).body)
        assert answer["body"] == "x" * 40


async def test_a_body_at_its_own_pace_has_an_end() -> None:
    async def read(request: Request) -> Response:
        return Response(await request.body())

    app = Starlette(routes=[Route("/v1/audio/speech", read, methods=["POST"])])
    paced = BodyPace(app, stall_seconds=5.0, least_rate=1, longest=0.5)
    async with listening(paced) as port, connected(port) as client:
        await client.send(POST + b"content-length: 1000000\r\n\r\n")
        answering = asyncio.create_task(client.answer())
        while not answering.done() and await client.send(b"x" * 100):
            await asyncio.sleep(0.02)
        answer = await answering
        assert answer.status == 408
        assert answer.headers["connection"] == "close"


def test_clients_that_only_connect_keep_nobody_out(tmp_path: Path) -> None:
    running = start(tmp_path, {"engines": ENGINES[1:2], "server": {"max_connections": 32}})
    try:
        where = ("127.0.0.1", port_of(running))
        silent = [socket.create_connection(where) for _ in range(200)]
        body = {"model": "TONE", "voice": "tone", "input": "Hello.", "response_format": "pcm"}
        answer = httpx.post(f"{running.api}/audio/speech", json=body, timeout=60)
        assert answer.status_code == 200
        assert psutil.Process(running.worker("Gateway").pid).num_fds() < 150
        for connection in silent:
            connection.close()
    finally:
        running.stop()
