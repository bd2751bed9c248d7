"""HTTP/1.1 on a socket: uvicorn's protocol, with limits on what clients may send before the app sees it.

uvicorn limits neither the size nor the time of a request's head, treats trailers as headers, and queues any
number of pipelined requests. Here, heads are counted before the parser stores them.
"""

import asyncio
import json
import logging
import socket
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from services.addresses import crowd_of

PIECE: Final = 16 * 1024
"""Number of bytes passed to the parser at once: how far a head can exceed its limit before it is noticed."""

FRAMING: Final = 16
"""Maximum bytes of chunk headers and extensions per byte of body; chunks of one byte need 5."""

FRAMING_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})
"""The headers that determine a body's length."""

COLON_AND_END: Final = 4
"""Bytes of a header line in addition to its name and value."""

PIPELINED: Final = 16
"""Maximum number of pipelined requests that wait on one connection."""

LINGER_SECONDS: Final = 2.0
"""Seconds for which a refused client may keep sending; closing at once would lose the response."""

LINGER_BYTES: Final = 1024 * 1024

UNREAD_SECONDS: Final = 30.0
"""Seconds that a closing connection waits for its client to read the rest of the response."""


SEND_BUFFER: Final = 256 * 1024
"""Size of the socket's send buffer in bytes.

By default, Linux buffers up to 4 MiB for a client that does not read: minutes of audio, generated in vain.
This size is enough for 1 MB/s at a latency of 250 ms.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Limits of requests' heads and of the number of connections.

    Attributes:
        head_bytes: Maximum size of a request's head: the request line and the headers.
        headers: Maximum number of headers in a request.
        head_seconds: Maximum time from the connection, or the head's first byte, until the head is complete.
        connections: Maximum number of connections per process.
    """

    head_bytes: int
    headers: int
    head_seconds: float
    connections: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error response that ends a connection.

    Attributes:
        status: HTTP status.
        code: OpenAI's ``code``.
        message: For the developer who reads the log.
    """

    status: int
    code: str
    message: str


_BROKEN: Final = Refusal(400, "invalid_http", "The request is not valid HTTP/1.1.")
_LATE: Final = Refusal(408, "request_timeout", "The request's headers did not arrive in time.")
_LONG_HEAD: Final = Refusal(431, "headers_too_large", "The request's headers are too long.")
_LONG_URL: Final = Refusal(414, "url_too_long", "The request's URL is too long.")
_MANY_HEADERS: Final = Refusal(431, "too_many_headers", "The request has too many headers.")
_FRAMING: Final = Refusal(400, "invalid_http", "The request's chunks carry too much overhead.")
_PIPELINE: Final = Refusal(400, "too_many_requests", "Too many pipelined requests.")
_VERSION: Final = Refusal(505, "http_version", "Only HTTP/1.1 is supported.")
_HOST: Final = Refusal(400, "invalid_http", "The request needs exactly one Host header.")
_FULL: Final = Refusal(503, "too_many_connections", "The server has no free connections; try again shortly.")


class Crowd:
    """The connections of one process that wait for their client, grouped by its address.

    These are idle connections and those with an incomplete request, of which anyone can open any number.

    Args:
        limit: Maximum number of connections of the process, including those that are being answered.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting: dict[str, dict[BoundedHttp, None]] = {}

    def add(self, connection: "BoundedHttp") -> None:
        """Mark a connection as waiting from now on."""
        self.remove(connection)
        self._waiting.setdefault(connection.address, {})[connection] = None

    def remove(self, connection: "BoundedHttp") -> None:
        """Unmark a connection; does nothing if it is not marked."""
        alike = self._waiting.get(connection.address)
        if alike is not None:
            alike.pop(connection, None)
            if not alike:
                del self._waiting[connection.address]

    def longest(self) -> "BoundedHttp | None":
        """Return the longest waiting connection of the address with the most waiting connections."""
        most = max(self._waiting.values(), key=len, default=None)
        return None if most is None else next(iter(most))


class _CutAnswers(logging.Filter):
    """Drops uvicorn's records of incomplete responses, whose reason has been logged where they were cut off.

    Records of exceptions that the app has not caught are kept.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is of such an exception."""
        raised = record.exc_info[1] if record.exc_info else None
        return raised is not None and not isinstance(raised, asyncio.CancelledError)


@cache
def _answers_logger() -> logging.Logger:
    logger = logging.getLogger("uvicorn.error.answers")
    logger.addFilter(_CutAnswers())
    return logger


class BoundedHttp(HttpToolsProtocol):
    """The protocol of one connection.

    Args:
        config: uvicorn's configuration.
        server_state: uvicorn's state.
        app_state: State of the lifespan.
        _loop: The event loop.
        limits: Limits of the connection.
        crowd: The waiting connections of this process.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: ConnectionLimits,
        crowd: Crowd,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # No upgrades: the header is ignored (RFC 9110, section 7.8).
        self.ws_protocol_class = None
        self.logger = _answers_logger()
        self.address = ""
        self._limits = limits
        self._crowd = crowd
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: Refusal | None = None
        self._discarded = 0
        # Of the request being read: total bytes, bytes of the body, number of headers and trailers.
        self._seen = 0
        self._body = 0
        self._fields = 0
        self._begun = False
        self._in_body = False
        self._upgrading = self._replaying = False

    # Called by the event loop.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Wait for a head; if there are too many connections, end one."""
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.address = crowd_of(self.client)
        self._crowd.add(self)
        self._wait(self._limits.head_seconds)
        if len(self.connections) > self._crowd.limit:
            longest = self._crowd.longest()
            if longest is not None and longest is not self:
                longest.end()
            else:
                self._refuse(_FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop tracking the connection."""
        self._crowd.remove(self)
        self._stop_waiting()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Parse received data, :data:`PIECE` bytes at a time."""
        if self._refusal is not None:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.transport.abort()
            return
        if not (self._in_body and self.cycle.response_complete):
            self._unset_keepalive_if_required()
        for start in range(0, len(data), PIECE):
            refusal = self._feed(data[start : start + PIECE] if len(data) > PIECE else data)
            if refusal is not None:
                self._refuse(refusal)
                return
        if self._timer is None and not self._in_body and (self._begun or self._seen):
            self._wait(self._limits.head_seconds)

    # Called by the parser.

    def on_message_begin(self) -> None:
        """Begin a request, at its first byte."""
        if self._replaying:
            return
        self._begun = True
        self._fields = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Add a part of the URL."""
        if not self._replaying:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; trailers are counted but discarded, since the app does not read them."""
        if self._replaying:
            return
        self._fields += 1
        if self._fields > self._limits.headers:
            raise _Refused(_MANY_HEADERS)
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Check the complete head and start answering."""
        if self._replaying:
            return
        version = self.parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            raise _Refused(_VERSION)
        size = len(self.url) + sum(len(name) + len(value) + COLON_AND_END for name, value in self.headers)
        if size > self._limits.head_bytes:
            raise _Refused(self._long())
        names = [name for name, _ in self.headers]
        if version == "1.0" and b"transfer-encoding" in names:
            raise _Refused(_BROKEN)  # servers disagree on where such a body ends
        hosts = names.count(b"host")
        if hosts > 1 or (not hosts and version == "1.1"):
            raise _Refused(_HOST)
        if len(self.pipeline) >= PIPELINED:
            raise _Refused(_PIPELINE)
        self._stop_waiting()
        self._in_body = True
        self._upgrading = self.parser.should_upgrade()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request; further data belongs to the next one."""
        if self._upgrading:
            return
        self._seen = self._body = 0
        self._begun = self._in_body = False
        if not self.cycle.response_complete:
            self._crowd.remove(self)
        super().on_message_complete()

    # Called by uvicorn.

    def on_response_complete(self) -> None:
        """After a response is written, continue with the next request, or wait for one."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._end_unread()
        elif self.cycle.response_complete:
            self._crowd.add(self)

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection."""
        self.end()

    def shutdown(self) -> None:
        """End the connection after the current response."""
        super().shutdown()
        if self.transport.is_closing():
            self._end_unread()

    def _unsupported_upgrade_warning(self) -> None:
        """Do not log: anyone could flood the log with it."""

    # Own methods.

    def end(self) -> None:
        """Close a connection that waits for its client; unread data is discarded."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _feed(self, piece: bytes) -> Refusal | None:
        """Parse a piece of data; return the reason to end the connection, if any."""
        self._seen += len(piece)
        while piece:
            try:
                self.parser.feed_data(piece)
                break
            except httptools.HttpParserUpgrade as upgrade:
                self._go_on()
                piece = piece[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                cause = error.__context__ or error.__cause__
                return cause.refusal if isinstance(cause, _Refused) else _BROKEN
        if self._seen - FRAMING * self._body <= self._limits.head_bytes:
            return None
        if self._in_body:
            return _FRAMING
        return self._long()

    def _go_on(self) -> None:
        """Continue reading a request with an ``Upgrade`` header, after which the parser stops.

        uvicorn would parse its body as the next request.
        """
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        framing = [b"%b: %b\r\n" % header for header in self.headers if header[0] in FRAMING_HEADERS]
        self._upgrading, self._replaying = False, True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(framing) + b"\r\n")
        self._replaying = False

    def _long(self) -> Refusal:
        """Return the refusal of a too long head: for its URL or its headers."""
        return _LONG_URL if self._begun and len(self.url) * 2 > self._limits.head_bytes else _LONG_HEAD

    def _wait(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        """Handle a head that is not complete in time."""
        self._timer = None
        if self._answering:
            self._wait(self._limits.head_seconds)  # must not cut off the previous request's response
        elif self._begun:
            self._refuse(_LATE)
        else:
            self.end()

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison] - uvicorn's, None at first

    def _refuse(self, refusal: Refusal) -> None:
        """Send an error response, and end the connection."""
        self._refusal = refusal
        self._stop_waiting()
        if self._answering and self._in_body and not self.cycle.response_started and not self.pipeline:
            # The error is in the body of the current request: the app sees a disconnect.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif self._answering:
            # Written into another response, the error would be taken for a part of it.
            self.transport.abort()
            return
        if self.transport.is_closing():
            return
        self._crowd.add(self)
        kind = "server_error" if refusal.status == _FULL.status else "invalid_request_error"
        error = {"message": refusal.message, "type": kind, "param": None, "code": refusal.code}
        body = json.dumps({"error": error}).encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        if refusal is _FULL:
            headers.append((b"retry-after", b"1"))
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[refusal.status] + lines + b"\r\n" + body)
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _end_unread(self) -> None:
        """Abort a closing connection if its client does not read the rest in time."""
        self._stop_waiting()
        if self.transport.get_write_buffer_size():
            self._timer = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)


class _Refused(Exception):  # noqa: N818 - named for what happened
    """Raised in a callback to stop the parser."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
