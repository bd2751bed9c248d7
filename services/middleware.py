"""Plain ASGI middleware for all requests and WebSockets."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.asgi import CLOSED, STARTS, completes, headers_of, is_request, method_of, status_of
from services.errors import ApiError, retry_headers, unexpected
from services.log_context import REQUEST_ID, LogContext, logged_as, request_id_in
from services.stopping import Stopping

logger = logging.getLogger("awaaztwin.access")

HEALTH_PATHS: Final = frozenset({"/health/live", "/livez", "/healthz", "/health/ready", "/readyz"})


class RequestId:
    """Adds an ``x-request-id`` (the client's own if it sent one) to every response, and logs each request.

    Log lines during the request carry the ID. Responses that are incomplete because the server is stopping
    are logged here; all other reasons are logged where the response is cut off.

    Args:
        app: The wrapped ASGI app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its ID, and log it."""
        if not is_request(scope):
            await self._app(scope, receive, send)
            return
        request_id = request_id_in(scope["headers"]) or f"req_{uuid.uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status, first, complete = 0, 0.0, False

        async def tagged(message: Message) -> None:
            nonlocal status, first, complete
            if message["type"] in STARTS:
                status, first = status_of(message), time.perf_counter() - started
                headers_of(message)[REQUEST_ID] = request_id
            elif not status and message["type"] == "websocket.close":
                status, first = CLOSED, time.perf_counter() - started
            complete = completes(message)
            await send(message)

        with logged_as(LogContext(request_id)):
            try:
                await self._app(scope, receive, tagged)
            except asyncio.CancelledError:
                if not complete:
                    logger.warning("the request was cut off: the server is stopping")
                raise
            finally:
                logger.info(
                    "%s %s %d first=%.1fms total=%.1fms",
                    method_of(scope),
                    scope["path"],
                    status,
                    first * 1000,
                    (time.perf_counter() - started) * 1000,
                )


class Unexpected:
    """Answers 500 for unexpected exceptions, inside the middleware that adds headers to all responses.

    Starlette's own handler is the outermost layer and reraises the exception: uvicorn then closes the
    connection, which the client, without notice, takes for open. A response that has begun is left
    incomplete, which shows the client that it was cut off.

    Args:
        app: The wrapped ASGI app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer 500 if that fails."""
        if not is_request(scope):
            await self._app(scope, receive, send)
            return
        started = complete = False

        async def watched(message: Message) -> None:
            nonlocal started, complete
            started = True
            complete = completes(message)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            cut = started and not complete
            logger.exception("the request %s", "was cut off: it failed" if cut else "failed unexpectedly")
            if cut and scope["type"] == "websocket":
                raise  # otherwise the WebSocket would stay open
            if not started:
                await unexpected().answer(scope, receive, send)


class Closing:
    """Refuses requests once the process has been told to stop, except health checks.

    Args:
        app: The wrapped ASGI app.
        stopping: Whether the process has been told to stop.
    """

    def __init__(self, app: ASGIApp, stopping: Stopping) -> None:
        self._app = app
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 503."""
        if not (self._stopping.begun and is_request(scope)) or scope["path"] in HEALTH_PATHS:
            await self._app(scope, receive, send)
            return
        message = "The server is shutting down; try again shortly."
        headers = {**retry_headers(1.0), "connection": "close"}
        error = ApiError(503, message, kind="server_error", code="stopping", headers=headers)
        await error.answer(scope, receive, send)


class BodyLimit:
    """Refuses bodies longer than a limit, with or without ``Content-Length``. WebSockets have no body.

    Args:
        app: The wrapped ASGI app.
        max_bytes: Default limit of a request's body.
        more: Returns a request's higher limit, or ``None``; called only for bodies longer than ``max_bytes``.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        more: Callable[[Scope], int | None] = lambda _: None,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._more = more

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._max_bytes
        said = dict(scope["headers"]).get(b"content-length", b"0")
        length = int(said) if said.isdigit() else 0
        if length > limit:
            limit = self._more(scope) or limit
        if length > limit:
            await ApiError(413, _too_long(limit), code="body_too_large").response()(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen, limit
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                limit = self._more(scope) or limit
            if seen > limit:
                # The only exception that FastAPI passes on while it reads a body.
                raise HTTPException(413, _too_long(limit))
            return message

        await self._app(scope, counted, send)


def _too_long(limit: int) -> str:
    return f"The request's body is larger than {limit} bytes."


class TakeOver:
    """Routes all requests and WebSockets to one app, bypassing the surrounding framework.

    BentoML adds its own routes (``/schema.json``, ``/docs.json``, ``/``, health checks), whose error bodies
    have another format. Only the lifespan is passed on to it.

    Args:
        app: The framework's ASGI app.
        answers: The app that handles all requests.
    """

    def __init__(self, app: ASGIApp, answers: ASGIApp) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass requests to the app, and the lifespan to the framework."""
        await (self._answers if is_request(scope) else self._app)(scope, receive, send)
