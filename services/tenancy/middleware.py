"""The tenant and quota layer: what every request and every WebSocket passes before it reaches its route.

Who is it, may it do this, and has its tenant a request and a stream left? What the route then uses is
booked by :mod:`services.quota.meter`.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Final, Protocol

from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from services.addresses import crowd_of
from services.asgi import STARTS, headers_of, is_request
from services.config import Settings
from services.counters.contract import Counters, CountersUnavailable, StreamLease, Window
from services.doors import Doors
from services.errors import ApiError, from_storage, retry_headers
from services.quota.limits import Allowance, allowance
from services.sharing.slots import CLAIMANT, Claimant
from services.sharing.turns import Turns
from services.tenancy.authenticator import Authenticator
from services.tenancy.credentials import credential
from services.tenancy.guard import LocalGuard
from services.tenancy.principal import Principal
from services.tenancy.scopes import Access
from services.tenancy.watch import AccessWatch, forbidden
from storage.errors import StorageError

logger = logging.getLogger(__name__)

MINUTE: Final = 60.0

SPARE: Final = 60.0
"""Seconds that a reservation outlives the longest request, should its Gateway die."""

SIGNATURE: Final = b"signature="


class Gatekeepers(Protocol):
    """What the layer works with; there once the app has started."""

    @property
    def authenticator(self) -> Authenticator:
        """Says who a request comes from."""
        ...

    @property
    def counters(self) -> Counters:
        """Counts requests and streams."""
        ...

    @property
    def watch(self) -> AccessWatch:
        """Ends answers whose caller may not have them any more."""
        ...

    @property
    def turns(self) -> Turns:
        """Of the processor."""
        ...


class Tenancy:
    """Lets through who may pass, with ``principal`` and ``allowance`` in the request's state.

    Args:
        app: What answers.
        doors: The routes and what they ask for.
        settings: The settings.
        keepers: Gives what it works with.
    """

    def __init__(
        self, app: ASGIApp, doors: Doors[Access], settings: Settings, keepers: Callable[[], Gatekeepers]
    ) -> None:
        self._app = app
        self._doors = doors
        self._settings = settings
        self._keepers = keepers
        self._guard = LocalGuard(settings) if settings.auth.mode == "local" else None

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer the request, or refuse it."""
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
        if access.everyone:
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        if principal is None:
            await self._watched(access, scope, receive, send)
            return
        allowed = allowance(principal, self._settings.quota)
        state["principal"], state["allowance"] = principal, allowed
        CLAIMANT.set(Claimant(principal.org_id, allowed.weight))
        await self._keepers().turns.wait()
        if access.metered:
            await self._metered(principal, allowed, access, scope, receive, send)
        else:
            await self._watched(access, scope, receive, send)

    async def _watched(self, access: Access, scope: Connection, receive: Receive, send: Send) -> None:
        await self._keepers().watch.serve(self._app, access, scope, receive, send)

    def _access(self, scope: Connection) -> Access:
        """What the route asks for.

        Raises:
            ApiError: 403, a page from elsewhere asks; 404 or 405, there is no such route.
        """
        if self._guard is not None:
            self._guard.check(scope["headers"])
        return self._doors.find(scope)

    async def _principal(self, scope: Connection, access: Access) -> Principal | None:
        """Who it is; ``None`` when nobody is asked."""
        if access.everyone or (access.signed and SIGNATURE in scope.get("query_string", b"")):
            return None
        principal = await self._keepers().authenticator.identify(credential(scope["headers"]))
        if access.scope is not None and access.scope not in principal.scopes:
            raise forbidden(access.scope)
        return principal

    async def _metered(
        self,
        principal: Principal,
        allowed: Allowance,
        access: Access,
        scope: Connection,
        receive: Receive,
        send: Send,
    ) -> None:
        window: Window | None = None
        lease: StreamLease | None = None
        try:
            window = await self._request(principal, allowed)
            lease = await self._stream(principal, allowed)
        except ApiError as error:
            await error.answer(scope, receive, send)
            return

        given_back: asyncio.Task[None] | None = None

        async def tagged(message: Message) -> None:
            nonlocal given_back
            if window is not None and message["type"] in STARTS:
                headers_of(message).update(_window_headers(window))
            if lease is not None and message["type"] == "http.response.body" and not message.get("more_body"):
                # A client that asks again at once finds its stream free; its last byte waits for nothing.
                given_back = asyncio.create_task(lease.release())
            await send(message)

        try:
            await self._watched(access, scope, receive, tagged)
        finally:
            if lease is not None:
                await asyncio.shield(given_back or lease.release())

    async def _request(self, principal: Principal, allowed: Allowance) -> Window | None:
        """Count a request.

        Raises:
            ApiError: 429, or 503 when it cannot be counted and must be.
        """
        limit = allowed.limits.requests_per_minute
        if limit is None:
            return None
        try:
            window = await self._keepers().counters.hit(principal.org_id, "requests", limit, MINUTE)
        except CountersUnavailable as error:
            self._uncounted(error)
            return None
        if not window.allowed:
            message = f"The organisation's limit of {limit} requests per minute is reached."
            headers = {**retry_headers(window.retry_after), **_window_headers(window)}
            raise ApiError(
                429, message, kind="rate_limit_exceeded", code="rate_limit_exceeded", headers=headers
            )
        return window

    async def _stream(self, principal: Principal, allowed: Allowance) -> StreamLease | None:
        """Take one of the tenant's streams.

        Raises:
            ApiError: 429, or 503 when it cannot be counted and must be.
        """
        limit = allowed.limits.concurrent_streams
        if limit is None:
            return None
        try:
            lease = await self._keepers().counters.acquire_stream(principal.org_id, limit)
        except CountersUnavailable as error:
            self._uncounted(error)
            return None
        if lease is None:
            message = f"The organisation's {limit} concurrent streams are in use."
            raise ApiError(
                429, message, kind="rate_limit_exceeded", code="rate_limit_exceeded", headers=retry_headers(1)
            )
        return lease

    def _uncounted(self, error: CountersUnavailable) -> None:
        if self._settings.quota.when_counters_fail == "open":
            logger.warning("a request could not be counted: %s", error)
            return
        message = "The rate limits cannot be checked now; try again shortly."
        headers = retry_headers(error.retry_after)
        raise ApiError(503, message, kind="server_error", code="limits_unavailable", headers=headers)


def _window_headers(window: Window) -> dict[str, str]:
    """OpenAI's headers of a window."""
    return {
        "x-ratelimit-limit-requests": str(window.limit),
        "x-ratelimit-remaining-requests": str(window.remaining),
        "x-ratelimit-reset-requests": f"{math.ceil(window.reset_seconds * 1000)}ms",
    }
