"""ASGI middleware for authentication and authorisation of all requests and WebSockets.

The tenant's limits are checked after it, in :mod:`services.quota.middleware`.
"""

import logging
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from services.addresses import crowd_of
from services.asgi import is_request
from services.config import Settings
from services.doors import Doors
from services.errors import ApiError, from_storage
from services.log_context import note
from services.sharing.slots import CLAIMANT, Claimant
from services.tenancy.authenticator import Authenticator
from services.tenancy.credentials import credential
from services.tenancy.guard import LocalGuard
from services.tenancy.principal import Principal
from services.tenancy.scopes import Access
from services.tenancy.watch import forbidden
from storage.errors import StorageError

logger = logging.getLogger(__name__)

SIGNATURE: Final = b"signature="


class Tenancy:
    """Admits authorised callers, and adds ``access`` and ``principal`` (if any) to the request's state.

    Args:
        app: The wrapped app.
        doors: The routes and their declared access.
        settings: The settings.
        authenticator: Returns the authenticator; available once the app has started.
    """

    def __init__(
        self,
        app: ASGIApp,
        doors: Doors[Access],
        settings: Settings,
        authenticator: Callable[[], Authenticator],
    ) -> None:
        self._app = app
        self._doors = doors
        self._settings = settings
        self._authenticator = authenticator
        self._guard = LocalGuard(settings) if settings.auth.mode == "local" else None

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if not is_request(scope):
            await self._app(scope, receive, send)
            return
        CLAIMANT.set(Claimant(crowd_of(scope.get("client"))))
        try:
            access = self._access(scope)
            principal = await self._principal(scope, access)
        except ApiError as error:
            await error.answer(scope, receive, send)
            return
        except StorageError as error:
            await from_storage(error).answer(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["access"] = access
        if principal is not None:
            state["principal"] = principal
            CLAIMANT.set(Claimant(principal.org_id))
            note(org=principal.org_id)
        await self._app(scope, receive, send)

    def _access(self, scope: Connection) -> Access:
        """Return the route's declared access.

        Raises:
            ApiError: 403 for requests from other sites' pages; 404 or 405 if there is no such route.
        """
        if self._guard is not None:
            self._guard.check(scope["headers"])
        return self._doors.find(scope)

    async def _principal(self, scope: Connection, access: Access) -> Principal | None:
        """Return the caller; ``None`` for public routes and signed URLs."""
        if access.everyone or (access.signed and SIGNATURE in scope.get("query_string", b"")):
            return None
        principal = await self._authenticator().identify(credential(scope["headers"]))
        if access.scope is not None and access.scope not in principal.scopes:
            raise forbidden(access.scope)
        return principal
