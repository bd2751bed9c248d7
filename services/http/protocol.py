"""HTTP/1.1 on a socket: uvicorn's protocol, with bounds on what anybody may send before an app sees it.

uvicorn bounds neither the size nor the time of a request's head, takes trailers for headers, and queues as
many pipelined requests as come. Heads are counted here before the parser keeps them.
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
"""Bytes that the parser is given at once: a head is too long by this much at most before it is noticed."""

FRAMING: Final = 16
"""Bytes of chunk headers and extensions for a byte of body, at most; chunks of one byte need 5."""

FRAMING_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})
"""The headers that say how long a body is."""

COLON_AND_END: Final = 4
"""Bytes of a header beside its name and value."""

PIPELINED: Final = 16
"""Requests that wait on one connection until the one before them is answered."""

LINGER_SECONDS: Final = 2.0
"""Seconds for which a refused client may go on sending; a connection closed at once loses the answer."""

LINGER_BYTES: Final = 1024 * 1024

UNREAD_SECONDS: Final = 30.0
"""Seconds for which the end of an answer waits to be read once nothing follows it."""


SEND_BUFFER: Final = 256 * 1024
"""Bytes of an answer that the operating system keeps for a client that does not read. Left to itself, Linux
keeps up to 4 MiB: minutes of audio that is spoken for nobody. It is enough for 1 MB/s over 250 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What a client may send, and how many may be connected.

    Attributes:
        head_bytes: Of a request's head: its line with the URL, and its headers.
        headers: Of one request.
        head_seconds: From the connection, or the head's first byte, until the head is whole.
        connections: Of one process.
    """

    head_bytes: int
    headers: int
    head_seconds: float
    connections: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a connection is ended.

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
    """The connections of one process that wait for their client, by its address.

    Those are the idle ones, and those whose request is not whole yet: what a stranger can have any number of.

    Args:
        limit: Connections of the process, those that are answered included.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting: dict[str, dict[BoundedHttp, None]] = {}

    def add(self, connection: "BoundedHttp") -> None:
        """Count a connection as waiting from now on."""
        self.remove(connection)
        self._waiting.setdefault(connection.address, {})[connection] = None

    def remove(self, connection: "BoundedHttp") -> None:
        """Count it no more; does nothing when it is not counted."""
        alike = self._waiting.get(connection.address)
        if alike is not None:
            alike.pop(connection, None)
            if not alike:
                del self._waiting[connection.address]

    def longest(self) -> "BoundedHttp | None":
        """Of the address that has most of them, the one that has waited the longest."""
        most = max(self._waiting.values(), key=len, default=None)
        return None if most is None else next(iter(most))


class _CutAnswers(logging.Filter):
    """Drops uvicorn's records of incomplete answers: the part that cut them off has logged the reason.

    Exceptions that no layer of the app has caught are kept.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is such an exception."""
        raised = record.exc_info[1] if record.exc_info else None
        return raised is not None and not isinstance(raised, asyncio.CancelledError)


@cache
def _answers_logger() -> logging.Logger:
    logger = logging.getLogger("uvicorn.error.answers")
    logger.addFilter(_CutAnswers())
    return logger


class BoundedHttp(HttpToolsProtocol):
    """One connection.

    Args:
        limits: What the client may do.
        crowd: The connections of this process.
        config: uvicorn's.
        server_state: uvicorn's.
        app_state: The lifespan's.
        _loop: The event loop.
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
        # There is nothing to upgrade to: such a request is answered as if it had not asked (RFC 9110, 7.8).
        self.ws_protocol_class = None
        self.logger = _answers_logger()
        self.address = ""
        self._limits = limits
        self._crowd = crowd
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: Refusal | None = None
        self._discarded = 0
        # Of the request being read: bytes in all, of its body, headers and trailers.
        self._seen = 0
        self._body = 0
        self._fields = 0
        self._begun = False
        self._in_body = False
        self._upgrading = self._replaying = False

    # What the event loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Wait for a head; make room when there are too many connections."""
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
        """Forget it."""
        self._crowd.remove(self)
        self._stop_waiting()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Parse what came, a piece at a time."""
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

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request's first byte came."""
        if self._replaying:
            return
        self._begun = True
        self._fields = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Some of the URL came."""
        if not self._replaying:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header or a trailer is whole; trailers are not kept, nothing of ours reads them."""
        if self._replaying:
            return
        self._fields += 1
        if self._fields > self._limits.headers:
            raise _Refused(_MANY_HEADERS)
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: start answering."""
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
            raise _Refused(_BROKEN)  # where such a body ends, two servers see differently
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
        """Some of the body came."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole. What else came with it is the next one's."""
        if self._upgrading:
            return
        self._seen = self._body = 0
        self._begun = self._in_body = False
        if not self.cycle.response_complete:
            self._crowd.remove(self)
        super().on_message_complete()

    # What uvicorn calls.

    def on_response_complete(self) -> None:
        """An answer is written; go on with the next request, or wait for one."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._end_unread()
        elif self.cycle.response_complete:
            self._crowd.add(self)

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for long enough."""
        self.end()

    def shutdown(self) -> None:
        """End the connection as soon as it is answered."""
        super().shutdown()
        if self.transport.is_closing():
            self._end_unread()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: any stranger could fill the log with it."""

    # Ours.

    def end(self) -> None:
        """Close a connection that waits for its client; what it left unread is thrown away."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _feed(self, piece: bytes) -> Refusal | None:
        """Have a piece parsed; gives why the connection is to be ended, if it is."""
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
        """Read the rest of a request that asked for another protocol; the parser takes it for that.

        uvicorn would take its body for the next request.
        """
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        framing = [b"%b: %b\r\n" % header for header in self.headers if header[0] in FRAMING_HEADERS]
        self._upgrading, self._replaying = False, True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(framing) + b"\r\n")
        self._replaying = False

    def _long(self) -> Refusal:
        """That a head is too long, and what of it."""
        return _LONG_URL if self._begun and len(self.url) * 2 > self._limits.head_bytes else _LONG_HEAD

    def _wait(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        """The head is not whole in time."""
        self._timer = None
        if self._answering:
            self._wait(self._limits.head_seconds)  # an answer before it is being sent, which must not be cut
        elif self._begun:
            self._refuse(_LATE)
        else:
            self.end()

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison] - uvicorn's, None at first

    def _refuse(self, refusal: Refusal) -> None:
        """Answer in the parser's stead, and end the connection."""
        self._refusal = refusal
        self._stop_waiting()
        if self._answering and self._in_body and not self.cycle.response_started and not self.pipeline:
            # It is this one's body that is wrong: the app hears that its client is gone.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif self._answering:
            # Written into the middle of another answer it would be taken for a part of that.
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
        """Abort a closing connection whose client does not read the rest."""
        self._stop_waiting()
        if self.transport.get_write_buffer_size():
            self._timer = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)


class _Refused(Exception):  # noqa: N818 - named for what happened
    """Stops the parser."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
