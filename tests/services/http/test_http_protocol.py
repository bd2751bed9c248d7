"""What a stranger may send before an app sees it, byte for byte over real sockets."""

import asyncio
import json
import socket
import sys
from contextvars import ContextVar

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from services.config import Settings
from services.http.server import Server
from services.stopping import Stopping

from raw_http import Client, Echo, connected, listening

HEAD = b"POST /it HTTP/1.1\r\nhost: a\r\n"
GET = b"GET /it HTTP/1.1\r\nhost: a\r\n\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
MEGABYTE = 1024 * 1024
SEEN: ContextVar[str | None] = ContextVar("seen", default=None)


async def pour(client: Client, data: bytes, most: int = 64 * MEGABYTE) -> int:
    """Send the same again and again until the server has had enough of it; gives how many bytes it took."""
    sent = 0
    while sent < most and await client.send(data):
        sent += len(data)
        await asyncio.sleep(0)
    return sent


async def alive(port: int) -> bool:
    async with connected(port) as client:
        await client.send(GET)
        return (await client.answer()).status == 200


@pytest.mark.parametrize(
    ("start", "again", "status", "code"),
    [
        pytest.param(HEAD, b"a:\r\n" * 4_096, 431, "too_many_headers", id="endless headers"),
        pytest.param(HEAD + b"a: ", b"x" * 65_536, 431, "headers_too_large", id="endless value"),
        pytest.param(HEAD, b"x" * 65_536, 431, "headers_too_large", id="endless name"),
        pytest.param(b"GET /", b"x" * 65_536, 414, "url_too_long", id="endless URL"),
        pytest.param(b"", b"G" * 65_536, 400, "invalid_http", id="endless method"),
        pytest.param(b"", b"\r\n" * 32_768, 431, "headers_too_large", id="endless blank lines"),
        pytest.param(CHUNKED + b"1;a=", b"x" * 65_536, 400, "invalid_http", id="endless extension"),
        pytest.param(CHUNKED, b"1;" + b"x" * 998 + b"\r\na\r\n", 400, "invalid_http", id="many extensions"),
        pytest.param(CHUNKED + b"0\r\n", b"a: b\r\n" * 4_096, 431, "too_many_headers", id="endless trailers"),
        pytest.param(CHUNKED + b"0\r\na: ", b"x" * 65_536, 400, "invalid_http", id="endless trailer"),
    ],
)
async def test_what_has_no_end_is_ended(start: bytes, again: bytes, status: int, code: str) -> None:
    echo = Echo()
    async with listening(echo) as port, connected(port) as client:
        await client.send(start)
        assert await pour(client, again) < 64 * MEGABYTE
        answer = await client.answer()
        # The system may have thrown the answer away together with what came too late.
        assert answer.status in {status, 0}
        if answer.status:
            assert answer.error["code"] == code
            assert answer.headers["connection"] == "close"
        assert not echo.asked
        assert await alive(port)


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        pytest.param(HEAD + b"a: b\r\n" * 99 + b"\r\n", 200, None, id="100 headers"),
        pytest.param(HEAD + b"a: b\r\n" * 100 + b"\r\n", 431, "too_many_headers", id="101 headers"),
        pytest.param(HEAD + b"a: " + b"x" * 65_000 + b"\r\n\r\n", 200, None, id="64 KB"),
        pytest.param(HEAD + b"a: " + b"x" * 66_000 + b"\r\n\r\n", 431, "headers_too_large", id="66 KB"),
        pytest.param(
            b"GET /" + b"x" * 66_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 414, "url_too_long", id="URL of 66 KB"
        ),
    ],
)
async def test_the_limits_of_a_head(data: bytes, status: int, code: str | None) -> None:
    async with listening(Echo()) as port, connected(port) as client:
        await client.send(data + (b"0\r\n\r\n" if b"chunked" in data else b""))
        answer = await client.answer()
        assert answer.status == status
        if code is not None:
            assert answer.error["code"] == code
            assert answer.headers["connection"] == "close"
            assert await client.ended()


async def test_every_head_of_a_connection_has_the_limit_to_itself() -> None:
    """Bodies and heads before it do not count."""
    head = HEAD + b"a: " + b"x" * 60_000 + b"\r\ncontent-length: 200000\r\n\r\n"
    async with listening(Echo()) as port, connected(port) as client:
        for _ in range(4):
            await client.send(head + b"b" * 200_000)
            answer = await client.answer()
            assert answer.status == 200
            assert len(json.loads(answer.body)["body"]) == 200_000


async def test_small_chunks_are_no_flood() -> None:
    async with listening(Echo()) as port, connected(port) as client:
        await client.send(CHUNKED + b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n")
        assert json.loads((await client.answer()).body)["body"] == "a" * 100_000


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(HEAD, id="half a head"),
        pytest.param(b"\r\n", id="a blank line"),
        pytest.param(GET + b"GET /", id="a second one begun"),
        pytest.param(GET + b"\r\n", id="a blank line after one"),
    ],
)
async def test_half_a_head_is_closed(data: bytes) -> None:
    async with listening(Echo(), head_seconds=1.0) as port, connected(port) as client:
        await client.send(data)
        if data.startswith(GET):
            assert (await client.answer()).status == 200
        answer = await client.answer()
        begun = data.strip() not in {b"", GET.strip()}
        assert answer.status == (408 if begun else 0)
        if begun:
            assert answer.error["code"] == "request_timeout"
        assert await client.ended()


async def test_a_head_that_trickles_is_closed() -> None:
    """No byte gives it more time."""
    async with listening(Echo(), head_seconds=0.5) as port, connected(port) as client:
        await client.send(HEAD)
        while await client.send(b"a"):
            await asyncio.sleep(0.05)
        assert (await client.answer()).status in {408, 0}


async def test_an_answer_is_not_cut_by_the_time_of_the_next_head() -> None:
    echo = Echo()
    echo.go.clear()
    async with listening(echo, head_seconds=1.0) as port, connected(port) as client:
        await client.send(GET + b"GET /")
        await asyncio.sleep(1.5)
        echo.go.set()
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 408


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", id="both lengths"),
        pytest.param(b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n", id="and reversed"),
        pytest.param(b"content-length: 0\r\ncontent-length: 5\r\n\r\n", id="two lengths"),
        pytest.param(b"content-length: 0, 5\r\n\r\n", id="a list of lengths"),
        pytest.param(b"content-length: +0\r\n\r\n", id="a signed length"),
        pytest.param(b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n", id="another coding last"),
        pytest.param(b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n", id="an unknown coding"),
        pytest.param(b"a: b\r\n c: d\r\n\r\n", id="a folded header"),
        pytest.param(b"a: b\n\r\n", id="a bare line feed"),
        pytest.param(b"a: b\rc: d\r\n\r\n", id="a bare carriage return"),
        pytest.param(b"a : b\r\n\r\n", id="a space before the colon"),
        pytest.param(b"a: b\0\r\n\r\n", id="a NUL"),
        pytest.param(b"transfer-encoding: chunked\r\n\r\n0\n\n", id="chunks with bare line feeds"),
        pytest.param(b"transfer-encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n", id="an endless chunk"),
        pytest.param(b"host: b\r\n\r\n", id="two hosts"),
    ],
)
async def test_what_two_servers_may_read_differently_is_refused(head: bytes) -> None:
    echo = Echo()
    async with listening(echo) as port, connected(port) as client:
        await client.send(HEAD + head + SMUGGLED)
        answer = await client.answer()
        assert answer.status in {400, 0}
        if answer.status:
            assert answer.error["code"] == "invalid_http"
            assert answer.headers["connection"] == "close"
        assert await client.ended()
        assert "/smuggled" not in [asked["path"] for asked in echo.asked]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", 200, id="an old client without"),
        pytest.param(b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400, id="old chunks"),
        pytest.param(b"GET / HTTP/2.0\r\nhost: a\r\n\r\n", 505, id="a later version"),
        pytest.param(b"GET http:// HTTP/1.1\r\nhost: a\r\n\r\n", 400, id="a broken URL"),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n", 400, id="a tunnel"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="TLS"),
    ],
)
async def test_requests_that_are_none(data: bytes, status: int) -> None:
    async with listening(Echo()) as port, connected(port) as client:
        await client.send(data)
        assert (await client.answer()).status == status
        assert await client.ended()


async def test_trailers_are_no_headers() -> None:
    echo = Echo()
    async with listening(echo) as port, connected(port) as client:
        await client.send(CHUNKED + b"1\r\na\r\n0\r\nauthorization: Bearer x\r\n\r\n" + GET)
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 200
    assert [name for name, _ in echo.asked[0]["headers"]] == ["host", "transfer-encoding"]


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"", b""),
        (b"content-length: 0\r\n", b""),
        (b"content-length: %d\r\n" % len(SMUGGLED), SMUGGLED),
        (b"transfer-encoding: chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
    ],
    ids=["no body", "an empty body", "a body", "chunks"],
)
@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
async def test_an_upgrade_is_answered_as_if_it_had_not_asked(
    protocol: bytes, framing: bytes, body: bytes, apart: bool
) -> None:
    """And its body is its body: taken for the next request it would be somebody else's."""
    echo = Echo()
    head = HEAD + b"connection: upgrade\r\nupgrade: " + protocol + b"\r\n" + framing + b"\r\n"
    async with listening(echo) as port, connected(port) as client:
        for part in [head, body + GET] if apart else [head + body + GET]:
            await client.send(part)
            await asyncio.sleep(0.05)
        assert [(await client.answer()).status for _ in range(2)] == [200, 200]
    assert [asked["path"] for asked in echo.asked] == ["/it", "/it"]
    assert echo.asked[0]["body"] == (SMUGGLED.decode() if body else "")


async def test_requests_that_do_not_wait_for_their_answers_have_a_bound() -> None:
    echo = Echo()
    echo.go.clear()
    async with listening(echo) as port:
        async with connected(port) as client:
            assert await pour(client, GET * 1_000) < 64 * MEGABYTE
        async with connected(port) as client:
            await client.send(GET * 10)
            echo.go.set()
            assert [(await client.answer()).status for _ in range(10)] == [200] * 10
        assert len(echo.asked) == 11


async def test_nonsense_after_a_request_does_not_get_into_its_answer() -> None:
    """It would be a part of the answer, for its client and for a proxy's next one."""
    echo = Echo()
    echo.go.clear()
    async with listening(echo) as port, connected(port) as client:
        await client.send(GET + b"nonsense\r\n\r\n")
        assert await client.ended()


async def test_idle_connections_make_room() -> None:
    async with listening(Echo(), connections=8) as port:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
        for _ in range(20):
            assert await alive(port)
        assert await idle[0][0].read() == b""
        for _, writer in idle:
            writer.transport.abort()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a machine is not all of 127.0.0.0/8")
async def test_a_crowd_makes_room_among_itself() -> None:
    async with listening(Echo(), connections=8) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        for _ in range(3):
            crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
            assert await crowd[0][0].read() == b""
            for _, other in crowd:
                other.transport.abort()
        alone = Client(reader, writer)
        await alone.send(GET)
        assert (await alone.answer()).status == 200
        alone.close()


async def test_connections_that_are_answered_are_never_closed_for_others() -> None:
    echo = Echo()
    echo.go.clear()
    async with listening(echo, connections=8) as port:
        busy = [Client(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(8)]
        for client in busy:
            await client.send(GET)
        while echo.waiting < 8:
            await asyncio.sleep(0.01)
        async with connected(port) as client:
            answer = await client.answer()
            assert (answer.status, answer.error["code"]) == (503, "too_many_connections")
            assert answer.headers["retry-after"] == "1"
            assert await client.ended()
        echo.go.set()
        assert [(await client.answer()).status for client in busy] == [200] * 8
        for client in busy:
            client.close()


async def test_a_connection_whose_body_is_not_whole_makes_room_as_well() -> None:
    async with listening(Echo(), connections=8) as port:
        slow = [Client(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(8)]
        for client in slow:
            await client.send(HEAD + b"content-length: 10\r\n\r\nabc")
        assert await alive(port)
        assert await slow[0].ended()
        for client in slow:
            client.close()


async def test_an_answer_that_nobody_reads_does_not_keep_an_idle_connection() -> None:
    """Nor its file descriptor: closing politely waits for the reader."""
    content = b"x" * 30 * MEGABYTE
    gone = asyncio.Event()

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})
        del scope
        if (await receive())["type"] == "http.disconnect":
            gone.set()

    async with listening(large, connections=1) as port, connected(port) as client:
        await client.send(GET)
        await client.reader.readexactly(1)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport reads
        await gone.wait()
        async with connected(port) as other:
            await other.send(GET)
            assert await other.reader.read(1) == b"H"
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]  # as above
        received = 0
        try:
            while data := await client.reader.read(MEGABYTE):
                received += len(data)
        except OSError:
            pass
        assert received < len(content)


async def test_little_is_made_for_a_client_that_does_not_read() -> None:
    """What the operating system keeps of an answer is bounded, too."""
    given = 0
    most = 64 * 1024 * 1024

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal given
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while given < most:
            given += 4_096
            await send({"type": "http.response.body", "body": bytes(4_096), "more_body": True})

    async with listening(app) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(GET)
            seen = -1
            while seen != given or not given:
                seen = given
                await asyncio.sleep(0.3)
    assert 0 < seen < 4 * 1024 * 1024


async def test_a_pipelined_request_begins_without_what_the_one_before_it_has_set() -> None:
    """It is begun by the task of the one before it, which a task's context variables outlive."""
    found: list[str | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        found.append(SEEN.get())
        SEEN.set(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = uvicorn.Config(app, log_config=None, lifespan="off")
        server = Server(config, settings=Settings(), stopping=Stopping())
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with connected(int(listener.getsockname()[1])) as client:
                await client.send(GET * 2)
                assert [(await client.answer()).status for _ in range(2)] == [200, 200]
        finally:
            server.should_exit = True
            await task
    assert found == [None, None]
