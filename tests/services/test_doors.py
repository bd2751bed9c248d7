"""Closed by default: what declares no access does not answer, be it a route, WebSocket, mount or host."""

import asyncio
import base64
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Host, Mount, Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.app import create_app
from services.config import LoadedSettings, Settings
from services.config.load import load_settings
from services.declarations import declare
from services.doors import Doors
from services.gate import DatabaseGate
from services.http.error_pace import ErrorPace
from services.http.proxies import TrustedProxies
from services.log_context import RequestFields, known_of
from services.middleware import Closing, RequestId, TakeOver, Unexpected
from services.quota.allowed import Allowed
from services.runner.app import RunnerAccess, create_runner_app
from services.runner.middleware import RunnerToken
from services.state import State
from services.stopping import Stopping
from services.tenancy.administration import Administration
from services.tenancy.authenticator import LOCAL
from services.tenancy.caller import Caller
from services.tenancy.origin import CLI
from services.tenancy.scopes import Access, access
from services.tenancy.scopes import Scope as KeyScope
from storage.database import Database

from live import Server
from logs import of_this_thread
from raw_http import Answer, connected, listening
from runners import engine, served

EVERYBODY = Access(everyone=True)

ID = "req_of-this-test"

HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: " + base64.b64encode(bytes(16)) + b"\r\n"
    b"x-request-id: " + ID.encode() + b"\r\n%b\r\n"
)


def gateway() -> FastAPI:
    settings = Settings.model_validate({"limits": {"max_errors_per_second": None}})
    return create_app(LoadedSettings(settings), lambda _: "unix:///nowhere")


def runner() -> Starlette:
    return create_runner_app(engine())


def closed(app: Starlette) -> list[str]:
    """The routes that would be refused to everybody."""
    kind = Access if isinstance(app, FastAPI) else RunnerAccess
    return [repr(route) for route, declared in Doors(app.routes, kind) if declared is None]


@asynccontextmanager
async def sockets(app: ASGIApp) -> AsyncGenerator[int, None]:
    """The port of a server that passes WebSockets to the app, as ours does not yet."""
    async with served(app, lifespan=False) as address:
        yield int(address.rpartition(":")[2])


async def handshake(port: int, path: str = "/hidden", headers: bytes = b"") -> Answer:
    async with connected(port) as client:
        await client.send(HANDSHAKE % (path.encode(), headers))
        return await client.answer()


async def get(port: int, path: str = "/hidden") -> Answer:
    async with connected(port) as client:
        await client.send(b"GET %b HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" % path.encode())
        return await client.answer()


# What the apps have.


def test_every_route_of_the_gateway_declares_an_access() -> None:
    app = gateway()
    assert len(app.routes) > 50
    assert closed(app) == []


def test_every_route_of_a_runner_declares_an_access() -> None:
    app = runner()
    assert len(app.routes) == 6
    assert closed(app) == []


async def test_a_route_of_the_gateway_that_loses_its_access_is_found_and_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = gateway()
    for endpoint in {getattr(route, "endpoint", None) for route in app.routes}:
        with monkeypatch.context() as patch:
            patch.delattr(endpoint, "__access__")
            routes = [route for route in app.routes if getattr(route, "endpoint", None) is endpoint]
            assert closed(app) == [repr(route) for route in routes]
            for route in routes:
                scope = {
                    "type": "http",
                    "method": min(getattr(route, "methods", None) or ()),
                    "path": getattr(route, "path", "").replace("{", "").replace("}", ""),
                    "headers": [],
                }
                assert Doors(app.routes, Access).peek(scope) is None
        assert closed(app) == []


def test_a_route_of_a_runner_that_loses_its_access_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    app = runner()
    for route in app.routes:
        with monkeypatch.context() as patch:
            patch.delattr(route, "__access__")
            assert closed(app) == [repr(route)]


def test_an_access_of_the_other_app_is_none() -> None:
    route = declare(Route("/hidden", _answer), RunnerAccess.GATEWAY)
    assert [declared for _, declared in Doors([route], Access)] == [None]


# What declares nothing.

ran: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


async def _answer(request: Request) -> PlainTextResponse:
    ran.append(request.url.path)
    return PlainTextResponse("open")


async def _endpoint() -> str:
    ran.append("endpoint")
    return "open"


class _Class(HTTPEndpoint):
    async def get(self, request: Request) -> PlainTextResponse:
        return await _answer(request)


async def _socket(websocket: WebSocket) -> None:
    ran.append(websocket.url.path)
    await websocket.accept()
    await websocket.send_text("open")
    await websocket.close()


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    """An app of somebody else's that answers whatever it is asked."""
    if scope["type"] == "websocket":
        await _socket(WebSocket(scope, receive, send))
    elif scope["type"] == "http":
        ran.append(scope["path"])
        await PlainTextResponse("open")(scope, receive, send)


PLAIN: dict[str, Callable[[], BaseRoute]] = {
    "a plain route": lambda: Route("/hidden", _answer),
    "a route of a class": lambda: Route("/hidden", _Class),
    "a route of an app": lambda: Route("/hidden", _app),
    "a WebSocket": lambda: WebSocketRoute("/hidden", _socket),
    "a mount": lambda: Mount("/hidden", _app),
    "a mount of everything": lambda: Mount("", _app),
    "a mount of routes": lambda: Mount(
        "/hidden", routes=[Route("/in", _answer), WebSocketRoute("/", _socket)]
    ),
    "a host": lambda: Host("127.0.0.1", Router(routes=[Mount("", _app)])),
}

PATHS = ["/hidden", "/hidden/", "/hidden/in"]


@pytest.mark.parametrize("make", PLAIN.values(), ids=PLAIN.keys())
@pytest.mark.parametrize("first", [False, True], ids=["last", "first"])
@pytest.mark.parametrize("app", [gateway, runner])
async def test_what_declares_nothing_is_refused(
    app: Callable[[], Starlette], first: bool, make: Callable[[], BaseRoute]
) -> None:
    """Added to the end of the routes or before all others, by HTTP and as a WebSocket."""
    opened = app()
    opened.router.routes.insert(0 if first else len(opened.routes), make())
    assert len(closed(opened)) == 1
    async with sockets(opened) as port:
        for path in PATHS:
            for answer in (await get(port, path), await handshake(port, path)):
                assert (answer.status, answer.error["code"]) == (404, "unknown_url")
    assert not ran


async def test_what_fastapi_adds_to_the_gateway_without_an_access_is_refused() -> None:
    app, router = gateway(), APIRouter()
    app.get("/hidden")(_endpoint)
    app.websocket("/hidden")(_socket)
    router.get("/included")(_endpoint)
    router.websocket("/included")(_socket)
    app.include_router(router)
    assert len(closed(app)) == 3
    async with sockets(app) as port:
        for path in ("/hidden", "/included"):
            for answer in (await get(port, path), await handshake(port, path)):
                assert (answer.status, answer.error["code"]) == (404, "unknown_url")
    assert not ran


async def test_a_refused_socket_has_its_request_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "awaaztwin.access")
    with caplog.filtering(RequestFields()):
        async with sockets(gateway()) as port:
            answer = await handshake(port, "/v1/audio/speech/stream")
    assert answer.status == 404
    assert answer.headers["x-request-id"] == ID
    assert answer.error["message"] == "Unknown WebSocket URL: /v1/audio/speech/stream."
    (line,) = [record for record in of_this_thread(caplog) if record.name == "awaaztwin.access"]
    assert line.getMessage().startswith("WEBSOCKET /v1/audio/speech/stream 404 ")
    assert known_of(line) == {"request_id": ID}


async def test_a_runner_logs_what_it_refuses(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "services.doors")
    async with sockets(runner()) as port:
        assert (await handshake(port, "/nowhere")).status == 404
    assert [record.getMessage() for record in of_this_thread(caplog)] == ["WEBSOCKET /nowhere 404"]


async def test_a_path_with_other_methods_is_not_a_path_without() -> None:
    app = gateway()
    app.router.routes.append(Route("/hidden", _answer))
    async with sockets(app) as port, connected(port) as client:
        await client.send(b"PUT /voices HTTP/1.1\r\nhost: localhost\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.error["code"]) == (405, "method_not_allowed")
        assert answer.headers["allow"] == "GET, POST"
        # Nor does another method tell that a closed route is there.
        await client.send(b"PUT /hidden HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (await client.answer()).status == 404


def _hostile() -> list[bytes]:
    paths = (
        "/hidden //hidden /hidden/ /hidden//x /%68idden /hidden%2Fx /x/../hidden /./hidden /livez/../hidden "
        "/livez%2F..%2Fhidden /hidden;/livez /hidden#/livez /hidden?x=/livez /hidden%00 /HIDDEN /socket * "
        "http://127.0.0.1/hidden"
    )
    methods = "GET HEAD POST OPTIONS TRACE PUT get PROPFIND QUERY CONNECT"
    return [f"{method} {path}".encode() for method in methods.split() for path in paths.split()]


async def test_no_wording_of_a_request_reaches_what_is_closed() -> None:
    """With our own server, to which a WebSocket is a request that asks for something it has not."""
    app = gateway()
    app.router.routes[:0] = [
        Route("/hidden", _answer, methods=["GET", "POST", "OPTIONS", "get"]),
        Mount("/hidden", _app),
        WebSocketRoute("/socket", _socket),
    ]
    upgrade = b"connection: upgrade\r\nupgrade: websocket\r\n"
    prefix = b"x-forwarded-prefix: /hidden\r\nx-original-url: /hidden\r\nx-http-method-override: GET\r\n"
    async with listening(app) as port:
        for line in _hostile():
            for more in (b"", upgrade, prefix):
                async with connected(port) as client:
                    await client.send(line + b" HTTP/1.1\r\nhost: 127.0.0.1\r\n" + more + b"\r\n")
                    status = (await client.reader.readline()).split()[1]
                    assert status in {b"400", b"404"}, line
    assert not ran


async def test_our_server_answers_a_handshake_as_if_it_had_not_asked() -> None:
    app = gateway()
    app.router.routes.append(declare(WebSocketRoute("/socket", _socket), EVERYBODY))
    async with listening(app) as port:
        for path in ("/socket", "/nowhere"):
            answer = await handshake(port, path)
            assert (answer.status, answer.error["code"]) == (404, "unknown_url")
            assert answer.headers["x-request-id"] == ID
        assert (await handshake(port, "/livez")).status == 200
    assert not ran


async def _asked(app: ASGIApp, scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    await app(scope, receive, send)
    return sent


def _scope(path: str = "/hidden") -> dict[str, Any]:
    return {
        "type": "websocket",
        "path": path,
        "headers": [],
        "client": ("127.0.0.1", 1),
        "scheme": "ws",
        "state": {},
    }


@pytest.mark.parametrize("app", [gateway, runner])
async def test_a_server_without_denial_responses_closes(app: Callable[[], Starlette]) -> None:
    path = "/hidden/" + "म" * 100
    (message,) = await _asked(app(), _scope(path))
    assert (message["type"], message["code"]) == ("websocket.close", 1008)
    assert message["reason"].startswith("Unknown WebSocket URL: /hidden/मम")
    assert len(message["reason"].encode()) <= 123


LAYERS: dict[str, Callable[[ASGIApp], ASGIApp]] = {
    "gateway": lambda _: gateway(),
    "runner": lambda _: runner(),
    "token": lambda app: RunnerToken(app, "secret"),
    "takeover": lambda app: TakeOver(app, app),
    "request id": RequestId,
    "proxies": lambda app: TrustedProxies(app, []),
    "pace": lambda app: ErrorPace(app, 1.0),
    "unexpected": Unexpected,
}


@pytest.mark.parametrize("wrap", LAYERS.values(), ids=LAYERS.keys())
async def test_what_is_neither_http_nor_a_websocket_is_an_error(wrap: Callable[[ASGIApp], ASGIApp]) -> None:
    async def reached(_scope: Scope, _receive: Receive, _send: Send) -> None:
        ran.append("reached")

    with pytest.raises(RuntimeError, match="webtransport"):
        await _asked(wrap(reached), {**_scope(), "type": "webtransport"})
    assert not ran


# What the layers do with a socket.


async def test_a_runners_token_holds_for_websockets() -> None:
    app = runner()
    app.router.routes.append(declare(WebSocketRoute("/socket", _socket), RunnerAccess.GATEWAY))
    async with sockets(RunnerToken(app, "open sesame")) as port:
        for headers in (b"", b"authorization: Bearer wrong\r\n"):
            for path in ("/socket", "/nowhere"):
                assert (await handshake(port, path, headers)).status == 401
        assert not ran
        assert (await handshake(port, "/nowhere", b"authorization: Bearer open sesame\r\n")).status == 404
        assert await _said(port, "/socket", "open sesame") == ["open"]


async def test_a_process_that_stops_refuses_sockets() -> None:
    stopping = Stopping()
    app = Starlette(
        routes=[WebSocketRoute("/socket", _socket)], middleware=[Middleware(Closing, stopping=stopping)]
    )
    async with sockets(app) as port:
        assert await _said(port, "/socket") == ["open"]
        stopping.begin()
        answer = await handshake(port, "/socket")
        assert (answer.status, answer.error["code"]) == (503, "stopping")
        assert answer.headers["retry-after"] == "1"


async def test_refused_sockets_are_paced_as_errors_are() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def deny(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/denied":
            await PlainTextResponse("no", 401)(scope, receive, send)
        elif scope["path"] == "/open":
            await _socket(WebSocket(scope, receive, send))
        else:
            await send({"type": "websocket.close", "code": 1008})

    pace = ErrorPace(deny, 1.0, clock=lambda: 0.0, sleep=sleep)
    for _ in range(10):
        await _asked(pace, {**_scope("/open"), "client": ("192.0.2.9", 1)})
    assert not waits
    for path in ("/denied", "/closed"):
        for _ in range(4):
            await _asked(pace, _scope(path))
    assert waits == [1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize(("accepted", "status"), [(False, 500), (True, 101)])
async def test_a_socket_whose_route_fails(accepted: bool, status: int) -> None:
    async def fail(websocket: WebSocket) -> None:
        if accepted:
            await websocket.accept()
        raise ValueError("unexpected")

    app = gateway()
    app.router.routes.append(declare(WebSocketRoute("/socket", fail), EVERYBODY))
    async with sockets(app) as port:
        answer = await handshake(port, "/socket")
        assert answer.status == status
        assert answer.headers["x-request-id"] == ID
        if not accepted:
            assert answer.error["message"] == "The server had an error while processing the request."


async def test_a_page_from_elsewhere_opens_no_socket_of_a_server_in_local_mode() -> None:
    app = gateway()
    app.router.routes.append(declare(WebSocketRoute("/socket", _socket), EVERYBODY))
    async with sockets(app) as port:
        answer = await handshake(port, "/socket", b"origin: https://elsewhere.example\r\n")
        assert (answer.status, answer.error["code"]) == (403, "origin_not_allowed")
        assert answer.headers["x-request-id"] == ID
        assert not ran
        answer = await handshake(port, "/socket", b"origin: http://127.0.0.1:1\r\n")
        assert answer.status == 101


@pytest.mark.parametrize(
    ("trusted", "headers", "scheme", "base"),
    [
        ([], [], "ws", "http://127.0.0.1:8000"),
        (
            [],
            [(b"x-forwarded-proto", b"https"), (b"x-forwarded-for", b"192.0.2.1")],
            "ws",
            "http://127.0.0.1:8000",
        ),
        (
            ["127.0.0.1"],
            [
                (b"x-forwarded-proto", b"https"),
                (b"x-forwarded-for", b"192.0.2.1"),
                (b"x-forwarded-host", b"voice.example"),
            ],
            "wss",
            "https://voice.example",
        ),
    ],
)
async def test_a_socket_keeps_its_scheme_and_gives_links_theirs(
    trusted: list[str], headers: list[tuple[bytes, bytes]], scheme: str, base: str
) -> None:
    scope = {**_scope(), "headers": headers, "server": ("127.0.0.1", 8000)}
    await _asked(TrustedProxies(_app, trusted), scope)
    assert (scope["scheme"], scope["state"]["base_url"]) == (scheme, base)


async def test_a_whole_server_refuses_a_handshake(server: Server) -> None:
    port = int(server.url.rpartition(":")[2])
    for path in ("/v1/audio/speech/stream", "/ws", "/schema.json", "/"):
        answer = await handshake(port, path)
        assert (answer.status, answer.error["code"]) == (404, "unknown_url")
        assert answer.headers["x-request-id"] == ID


# What is declared.


async def _said(port: int, path: str, key: str | None = None) -> list[str]:
    """What a WebSocket says until it is closed."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{port}{path}", headers=headers) as socket,
    ):
        return [message.data async for message in socket]


@pytest.mark.parametrize(
    ("app", "what"), [(gateway, EVERYBODY), (runner, RunnerAccess.GATEWAY)], ids=["gateway", "runner"]
)
async def test_what_declares_an_access_is_served(app: Callable[[], Starlette], what: object) -> None:
    opened = app()
    opened.router.routes += [
        declare(Route("/route", _answer), what),
        declare(Mount("/mount", _app), what),
        declare(WebSocketRoute("/socket", _socket), what),
        declare(Host("host.example", _app), what),
    ]
    assert closed(opened) == []
    async with sockets(opened) as port:
        for path in ("/route", "/mount/", "/mount/in/it"):
            assert (await get(port, path)).body == b"open"
        for path in ("/socket", "/mount/in/it"):
            assert await _said(port, path) == ["open"]
        assert (await get(port, "/socket")).status == 404
        assert (await handshake(port, "/route")).status == 404
        async with connected(port) as client:
            await client.send(b"GET /any HTTP/1.1\r\nhost: host.example\r\n\r\n")
            local = app is gateway  # its guard knows no such host
            assert (await client.answer()).status == (403 if local else 200)


@asynccontextmanager
async def keyed(folder: Path) -> AsyncGenerator[tuple[int, dict[str, str], Callable[[str], Any]], None]:
    """A Gateway that asks for keys and has sockets; its port, keys by scope, and what revokes one."""
    given = {
        "storage": {
            "db_url": f"sqlite:///{folder}/awaaztwin.db",
            "object_store": {"path": str(folder / "objects")},
        },
        "engines": [{"name": "TONE", "type": "SYNTHETIC"}],
        "auth": {"mode": "required", "cache_seconds": 0},
        "limits": {"max_errors_per_second": None},
        "quota": {"plans": {"default": {"requests_per_minute": 1000, "concurrent_streams": 1}}},
    }
    configuration = folder / "configuration.yaml"
    configuration.write_text(yaml.safe_dump(given), encoding="utf-8")
    loaded = load_settings(configuration, environ={})
    async with Database(loaded.settings.storage.db_url.get_secret_value()) as database:
        gate = DatabaseGate(database, loaded.settings)
        made: dict[str, Any] = {}
        async with gate.write() as session:
            admin = Administration(session, loaded.settings.quota, CLI, by=LOCAL)
            org = await admin.create_org("Asha Audio", plan=None, limits={})
            for scope in (KeyScope.SPEECH, KeyScope.MODELS):
                made[scope] = await admin.create_key(org.id, name=scope, scopes=[scope])

        async def revoke(scope: str) -> None:
            async with gate.write() as session:
                admin = Administration(session, loaded.settings.quota, CLI, by=LOCAL)
                await admin.revoke_key(org.id, made[scope].key.id)

        app = create_app(loaded, lambda _: "unix:///nowhere")
        router = APIRouter()

        @router.websocket("/whoami")
        @access(KeyScope.SPEECH)
        async def whoami(websocket: WebSocket, caller: Caller, allowed: Allowed, state: State) -> None:
            await websocket.accept()
            limits = allowed.limits.requests_per_minute
            await websocket.send_text(f"{caller.org_name} {limits} {state.settings.auth.mode}")
            await websocket.receive_text()
            await websocket.close()

        @router.websocket("/metered")
        @access(KeyScope.SPEECH, metered=True)
        async def metered(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.receive_text()
            await websocket.close()

        app.router.routes.extend(router.routes)
        async with served(app) as address:
            keys = {scope: each.text for scope, each in made.items()}
            yield int(address.rpartition(":")[2]), keys, revoke


async def test_a_socket_knows_its_caller(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (port, keys, revoke), aiohttp.ClientSession() as session:
        refused = {
            b"": (401, "missing_api_key"),
            b"authorization: Bearer atk_wrong\r\n": (401, "invalid_api_key"),
            b"authorization: Bearer " + keys["models"].encode() + b"\r\n": (403, "insufficient_scope"),
        }
        for headers, expected in refused.items():
            answer = await handshake(port, "/whoami", headers)
            assert (answer.status, answer.error["code"]) == expected
            assert answer.headers["x-request-id"] == ID
        url, headers = f"http://127.0.0.1:{port}/whoami", {"authorization": f"Bearer {keys['speech']}"}
        async with session.ws_connect(url, headers=headers) as socket:
            assert await socket.receive_str() == "Asha Audio 1000 required"
            # It lives no longer than its key.
            await revoke("speech")
            closed = await socket.receive()
            assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1008)
            assert closed.extra == "The API key was revoked."


async def test_a_metered_socket_is_counted_as_a_request_and_a_stream(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (port, keys, _), aiohttp.ClientSession() as session:
        url, headers = f"http://127.0.0.1:{port}/metered", {"authorization": f"Bearer {keys['speech']}"}
        raw = b"authorization: Bearer " + keys["speech"].encode() + b"\r\n"
        async with session.ws_connect(url, headers=headers) as socket:
            answer = await handshake(port, "/metered", raw)
            assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
            assert "concurrent streams" in answer.error["message"]
            await socket.send_str("end")
            await socket.receive()
        async with asyncio.timeout(10):
            while (answer := await handshake(port, "/metered", raw)).status != 101:
                assert "concurrent streams" in answer.error["message"]
                await asyncio.sleep(0.05)
        assert answer.headers["x-ratelimit-limit-requests"] == "1000"
