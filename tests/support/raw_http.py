"""A server of uvicorn's with our protocol, and clients that say byte for byte what they like."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from services.http.protocol import BoundedHttp, ConnectionLimits, Crowd

LIMITS: dict[str, Any] = {"head_bytes": 65_536, "headers": 100, "head_seconds": 60.0, "connections": 1_000}


@dataclass
class Answer:
    """What a server answered; status 0 is a connection that ended without."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    @property
    def error(self) -> dict[str, Any]:
        """The inside of an error in OpenAI's shape."""
        found = json.loads(self.body)["error"]
        assert set(found) == {"message", "type", "param", "code"}
        return found


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> bool:
        """Write; false when the server has ended the connection."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError:
            return False
        return not self.writer.transport.is_closing()

    async def answer(self) -> Answer:
        """Read an answer."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
            }
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        except (asyncio.IncompleteReadError, OSError):
            return Answer()
        return Answer(int(head[0].split()[1]), headers, body)

    async def ended(self) -> bool:
        """Wait until the server closes; false when it says something before."""
        try:
            return await self.reader.read(1) == b""
        except OSError:
            return True

    def close(self) -> None:
        """Hang up."""
        self.writer.transport.abort()


@asynccontextmanager
async def connected(port: int) -> AsyncGenerator[Client, None]:
    """A connection to a port of 127.0.0.1."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = Client(reader, writer)
    try:
        yield client
    finally:
        client.close()


@asynccontextmanager
async def listening(app: ASGIApp, **limits: Any) -> AsyncGenerator[int, None]:
    """The app behind our protocol; gives its port."""
    bounds = ConnectionLimits(**{**LIMITS, **limits})
    http: Any = partial(BoundedHttp, limits=bounds, crowd=Crowd(bounds.connections))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = uvicorn.Config(app, http=http, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            await task


class Echo:
    """Answers with the request: path, headers and body. Keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer once ``go`` is set."""
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.waiting += 1
        await self.go.wait()
        self.waiting -= 1
        told = {
            "path": scope["path"],
            "headers": [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]],
            "body": body.decode("latin-1"),
        }
        self.asked.append(told)
        content = json.dumps(told).encode()
        headers = [(b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})
