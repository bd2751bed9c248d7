"""Layers around the app of a runner."""

import hmac

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from services.asgi import is_request, refuse
from services.log_context import LogContext, logged_as, request_id_in


class RunnerToken:
    """ASGI middleware: requires the shared secret on every path, also for WebSockets.

    Args:
        app: What is guarded.
        token: The secret.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if is_request(scope):
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                message = "The runner's token is missing or wrong."
                await refuse(JSONResponse({"error": message}, 401), message, scope, receive, send)
                return
        await self._app(scope, receive, send)


class LoggedCalls:
    """ASGI middleware: what is logged for a call carries the id of the Gateway's request.

    Args:
        app: What answers.
        engine: The engine's name.
    """

    def __init__(self, app: ASGIApp, engine: str) -> None:
        self._app = app
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        if not is_request(scope):
            await self._app(scope, receive, send)
            return
        with logged_as(LogContext(request_id_in(scope["headers"]), engine=self._engine)):
            await self._app(scope, receive, send)
