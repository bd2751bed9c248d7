"""ASGI helpers for middleware that handles both HTTP requests and WebSockets."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

STARTS: Final = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
"""Types of the messages that carry a response's headers."""

BODIES: Final = frozenset({"http.response.body", "websocket.http.response.body"})
"""Types of the messages that carry a response's body."""

SWITCHED: Final = 101
"""HTTP status of an accepted WebSocket."""

CLOSED: Final = 403
"""HTTP status of a handshake whose WebSocket is closed before it is accepted."""

POLICY_VIOLATION: Final = 1008
"""Close code of a WebSocket that is refused, or whose caller has lost access (RFC 6455, section 7.4.1)."""

MAX_REASON_BYTES: Final = 123
"""Maximum length of a close frame's reason in bytes (RFC 6455, section 5.5)."""

_DENIAL: Final = "websocket.http.response"


def is_request(scope: Scope) -> bool:
    """Whether a scope is an HTTP request or a WebSocket; false for the lifespan.

    Raises:
        RuntimeError: The scope has another type, for which no error response is defined.
    """
    if scope["type"] in {"http", "websocket"}:
        return True
    if scope["type"] == "lifespan":
        return False
    raise RuntimeError(f"unsupported ASGI scope type: {scope['type']!r}")


def method_of(scope: Scope) -> str:
    """Return the method of a request; ``WEBSOCKET`` for a WebSocket."""
    return "WEBSOCKET" if scope["type"] == "websocket" else str(scope["method"])


def headers_of(message: Message) -> MutableHeaders:
    """Return the mutable headers of a message of :data:`STARTS`."""
    message.setdefault("headers", [])
    return MutableHeaders(scope=message)


def status_of(message: Message) -> int:
    """Return the HTTP status of a message of :data:`STARTS`."""
    return int(message.get("status", SWITCHED))


def completes(message: Message) -> bool:
    """Whether a message is the last one of its connection."""
    kind = message["type"]
    return kind == "websocket.close" or (kind in BODIES and not message.get("more_body", False))


async def refuse(response: Response, reason: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, or refuse a WebSocket's handshake.

    Args:
        response: The response. For a WebSocket, Starlette sends it as a denial response.
        reason: Reason to close a WebSocket with, if the server does not support denial responses.
        scope: The connection's scope.
        receive: The connection's ``receive``.
        send: The connection's ``send``.
    """
    extensions: Mapping[str, Any] = scope.get("extensions") or {}
    if scope["type"] == "websocket" and _DENIAL not in extensions:
        await close(reason, scope, receive, send)
    else:
        await response(scope, receive, send)


async def close(reason: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Close a WebSocket with :data:`POLICY_VIOLATION`."""
    fitting = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
    await WebSocketClose(POLICY_VIOLATION, fitting)(scope, receive, send)
