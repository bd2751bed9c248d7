"""Closed by default: only routes that declare an access are reachable, whatever their class.

Everything else is refused before it reaches the app: unknown paths and methods, and routes, WebSockets,
mounts and hosts without a declared access.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from services.asgi import is_request, method_of
from services.declarations import declared
from services.errors import ApiError

logger = logging.getLogger(__name__)

AccessT = TypeVar("AccessT")


class Doors(Generic[AccessT]):
    """The routes of an app, with the access that each declares.

    They are read again for each request, so that routes added later are closed by default, too.

    Args:
        routes: The app's own list of routes, in the order in which its router tries them.
        kind: Class of an access; declarations of other classes are ignored.
    """

    def __init__(self, routes: Sequence[BaseRoute], kind: type[AccessT]) -> None:
        self._routes = routes
        self._kind = kind

    def __iter__(self) -> Iterator[tuple[BaseRoute, AccessT | None]]:
        """Iterate over the routes with their access; ``None`` for a closed route."""
        for route in self._routes:
            yield route, self._access(route)

    def find(self, connection: Scope) -> AccessT:
        """Return the access of the route that the app's router will choose.

        Raises:
            ApiError: 404 if there is no such route or it is closed; 405 if the path has only other methods.
        """
        methods: set[str] = set()
        for route in self._routes:
            match, _ = route.matches(connection)
            if match is Match.NONE:
                continue
            access = self._access(route)
            if match is Match.FULL:
                if access is None:
                    logger.error("refused, because no access is declared: %r", route)
                    raise _unknown(connection)
                return access
            if access is not None:
                methods.update(getattr(route, "methods", None) or ())
        if methods:
            message = f"The method {method_of(connection)} is not allowed for {connection['path']}."
            headers = {"allow": ", ".join(sorted(methods))}
            raise ApiError(405, message, code="method_not_allowed", headers=headers)
        raise _unknown(connection)

    def peek(self, connection: Scope) -> AccessT | None:
        """Like :meth:`find`, but return ``None`` instead of raising an error."""
        try:
            return self.find(connection)
        except ApiError:
            return None

    def _access(self, route: BaseRoute) -> AccessT | None:
        access = declared(route)
        return access if isinstance(access, self._kind) else None


class ClosedByDefault:
    """ASGI middleware that refuses, and logs, requests to routes without a declared access.

    Args:
        app: The wrapped ASGI app.
        doors: Its routes.
    """

    def __init__(self, app: ASGIApp, doors: Doors[Any]) -> None:
        self._app = app
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 404 or 405."""
        if is_request(scope):
            try:
                self._doors.find(scope)
            except ApiError as error:
                logger.info("%s %s %d", method_of(scope), scope["path"], error.status)
                await error.answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _unknown(connection: Scope) -> ApiError:
    path = connection["path"]
    if connection["type"] == "websocket":
        return ApiError(404, f"Unknown WebSocket URL: {path}.", code="unknown_url")
    return ApiError(404, f"Unknown request URL: {connection['method']} {path}.", code="unknown_url")
