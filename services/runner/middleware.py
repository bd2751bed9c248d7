"""ASGI middleware of runners."""

import hmac

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from services.asgi import is_request, refuse
from services.log_context import LogContext, logged_as, request_id_in


class RunnerToken:
    """ASGI middleware that requires the shared secret on every path, also for WebSockets.

    Args:
        app: The wrapped app.
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
    """ASGI middleware that adds the ID of the Gateway's request to the log lines of a call.

    Args:
        app: The wrapped app.
        engine: Name of the engine.
    """

    def __init__(self, app: ASGIApp, engine: str) -> None:
        self._app = app
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if not is_request(scope):
            await self._app(scope, receive, send)
            return
        with logged_as(LogContext(request_id_in(scope["headers"]), engine=self._engine)):
            await self._app(scope, receive, send)
