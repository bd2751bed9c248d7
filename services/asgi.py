"""What HTTP requests and WebSockets have in common, for middleware: each has to treat both."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

STARTS: Final = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
"""Messages that carry an answer's headers."""

BODIES: Final = frozenset({"http.response.body", "websocket.http.response.body"})
"""Messages that carry an answer's body."""

SWITCHED: Final = 101
"""The status of a WebSocket that was accepted."""

CLOSED: Final = 403
"""The status that servers answer to a handshake whose WebSocket is closed before it is accepted."""

POLICY_VIOLATION: Final = 1008
"""The close code of a WebSocket that is refused, or whose caller may not have it any more."""

MAX_REASON_BYTES: Final = 123
"""Of a close frame's reason (RFC 6455, 5.5)."""

_DENIAL: Final = "websocket.http.response"


def is_request(scope: Scope) -> bool:
    """Whether it is an HTTP request or a WebSocket; the lifespan is neither.

    Raises:
        RuntimeError: It is something else, which nothing here can refuse politely.
    """
    if scope["type"] in {"http", "websocket"}:
        return True
    if scope["type"] == "lifespan":
        return False
    raise RuntimeError(f"unsupported ASGI scope type: {scope['type']!r}")


def method_of(scope: Scope) -> str:
    """The method of a request, or ``WEBSOCKET``."""
    return "WEBSOCKET" if scope["type"] == "websocket" else str(scope["method"])


def headers_of(message: Message) -> MutableHeaders:
    """The headers of a message of :data:`STARTS`, to be changed."""
    message.setdefault("headers", [])
    return MutableHeaders(scope=message)


def status_of(message: Message) -> int:
    """The status of a message of :data:`STARTS`."""
    return int(message.get("status", SWITCHED))


def completes(message: Message) -> bool:
    """Whether nothing follows a message."""
    kind = message["type"]
    return kind == "websocket.close" or (kind in BODIES and not message.get("more_body", False))


async def refuse(response: Response, reason: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, or a WebSocket's handshake in place of accepting it.

    Args:
        response: The answer. Starlette makes it a denial response where it is a WebSocket's.
        reason: Of the close, where the server cannot send denial responses.
        scope: The connection's.
        receive: The connection's.
        send: The connection's.
    """
    extensions: Mapping[str, Any] = scope.get("extensions") or {}
    if scope["type"] == "websocket" and _DENIAL not in extensions:
        await close(reason, scope, receive, send)
    else:
        await response(scope, receive, send)


async def close(reason: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Close a WebSocket as against the policy."""
    fitting = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
    await WebSocketClose(POLICY_VIOLATION, fitting)(scope, receive, send)
