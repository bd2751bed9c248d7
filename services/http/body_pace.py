"""Limits on the time and the minimum rate of request bodies."""

import asyncio
import http
from contextlib import suppress
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.sharing.turns import Turns

LINGER_SECONDS: Final = 2.0
"""Seconds after the response for which the rest of an unread body is received and discarded."""

SHORT: Final = 64 * 1024
"""Number of bytes that are read without waiting; each part after them waits for a turn."""

LINGER_BYTES: Final = 16 * 1024 * 1024


class BodyPace:
    """ASGI middleware that ends requests whose body stalls or is too slow. WebSockets have no body.

    A response sent before the whole body was read has ``Connection: close``. The rest is then discarded for
    a short time: closing a connection while data arrives resets it, and the client loses the response.

    Args:
        app: The wrapped ASGI app.
        stall_seconds: Maximum wait for the next part of the body.
        least_rate: Minimum rate in bytes per second, checked once the total wait exceeds ``stall_seconds``.
        longest: Maximum seconds for the whole body, including the time in which the app does not read it.
        turns: Turns that the parts of a long body wait for; ``None`` to not wait.
    """

    def __init__(
        self,
        app: ASGIApp,
        stall_seconds: float,
        least_rate: int,
        longest: float,
        turns: Turns | None = None,
    ) -> None:
        self._app = app
        self._stall = stall_seconds
        self._rate = least_rate
        self._longest = longest
        self._turns = turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its body paced."""
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        if b"transfer-encoding" not in headers and headers.get(b"content-length", b"0") == b"0":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._stall, self._rate, self._longest, self._turns)
        await self._app(scope, body.next, _Sender(send, body, awaited=b"expect" in headers))


class _Body:
    """The body of one request."""

    def __init__(
        self, receive: Receive, stall: float, rate: int, longest: float, turns: Turns | None
    ) -> None:
        self._receive = receive
        self._stall = stall
        self._rate = rate
        self._longest = longest
        self._turns = turns
        self._end = asyncio.get_running_loop().time() + longest
        self._waited = 0.0
        self.bytes = 0
        self.whole = False

    async def next(self) -> Message:
        """Receive the next part, or the message after the body.

        Raises:
            HTTPException: 408 if the part does not arrive in time, or the body is too slow.
        """
        if self.whole:
            return await self._receive()
        if self._turns is not None and self.bytes > SHORT:
            await self._turns.wait()
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout_at(min(began + self._stall, self._end)):
                message = await self.take()
        except TimeoutError:
            if clock() >= self._end:
                raise _late(f"The request's body took longer than {self._longest:g} s.") from None
            raise _late(f"The request's body stalled for {self._stall:g} s.") from None
        self._waited += clock() - began
        if not self.whole and self._waited > self._stall and self.bytes < self._waited * self._rate:
            raise _late(f"The request's body arrived at less than {self._rate} bytes per second.")
        return message

    async def take(self) -> Message:
        """Receive the next part, without a time limit."""
        message = await self._receive()
        self.bytes += len(message.get("body", b""))
        self.whole = not message.get("more_body", False)  # also after a disconnect
        return message


class _Sender:
    """Sends the response, with ``Connection: close`` if a part of the body is unread."""

    def __init__(self, send: Send, body: _Body, *, awaited: bool) -> None:
        self._send = send
        self._body = body
        self._awaited = awaited
        self._last = False

    async def __call__(self, message: Message) -> None:
        """Send a message of the response."""
        if message["type"] == "http.response.start" and not self._body.whole:
            await self._take(0)
            if not self._body.whole:
                self._last = True
                MutableHeaders(scope=message)["connection"] = "close"
        elif self._last and message["type"] == "http.response.body" and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            self._awaited = False
            await self._take(LINGER_SECONDS)
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _take(self, seconds: float) -> None:
        """Discard what has arrived of the body, and what arrives within ``seconds``."""
        if self._awaited:
            return  # reading would make the client send all of it (``Expect: 100-continue``)
        most = self._body.bytes + LINGER_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._body.whole and self._body.bytes < most:
                    await self._body.take()


def _late(message: str) -> HTTPException:
    # The only exception that FastAPI passes on while it reads a body.
    return HTTPException(http.HTTPStatus.REQUEST_TIMEOUT, message)
