"""ASGI middleware between the tenant layer and the routes: limits of requests and streams, and turns.

Usage of characters and audio is booked by :mod:`services.quota.meter`.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Final, Protocol, cast

from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from services.asgi import STARTS, headers_of
from services.config import QuotaConfig
from services.counters.contract import Counters, CountersUnavailable, RateWindow, StreamLease
from services.errors import ApiError, retry_headers
from services.quota.limits import Allowance, allowance
from services.sharing.slots import CLAIMANT, Claimant
from services.sharing.turns import Turns
from services.tenancy.principal import Principal
from services.tenancy.scopes import Access

logger = logging.getLogger(__name__)

MINUTE: Final = 60.0

SPARE_SECONDS: Final = 60.0
"""Seconds beyond the request timeout after which the reservation of a dead Gateway process is released."""


class Bookkeepers(Protocol):
    """The layer's collaborators; available once the app has started."""

    @property
    def counters(self) -> Counters:
        """The counters of requests and streams."""
        ...

    @property
    def turns(self) -> Turns:
        """Turns of CPU time."""
        ...


class Quotas:
    """Admits requests within the tenant's limits, and adds ``allowance`` to the request's state.

    Tenants take turns, see :class:`services.sharing.turns.Turns`.

    Args:
        app: The wrapped app.
        config: The plans.
        keepers: Returns the collaborators.
    """

    def __init__(self, app: ASGIApp, config: QuotaConfig, keepers: Callable[[], Bookkeepers]) -> None:
        self._app = app
        self._config = config
        self._keepers = keepers

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        state = scope.get("state", {})
        principal = cast("Principal | None", state.get("principal"))
        if principal is None:
            await self._app(scope, receive, send)
            return
        allowed = state["allowance"] = allowance(principal, self._config)
        CLAIMANT.set(Claimant(principal.org_id, allowed.weight))
        await self._keepers().turns.wait()
        if cast("Access", state["access"]).metered:
            await self._metered(principal, allowed, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _metered(
        self,
        principal: Principal,
        allowed: Allowance,
        scope: Connection,
        receive: Receive,
        send: Send,
    ) -> None:
        window: RateWindow | None = None
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
                # Release the stream before the last byte is sent, for the next request, but without waiting.
                given_back = asyncio.create_task(lease.release())
            await send(message)

        try:
            await self._app(scope, receive, tagged)
        finally:
            if lease is not None:
                await asyncio.shield(given_back or lease.release())

    async def _request(self, principal: Principal, allowed: Allowance) -> RateWindow | None:
        """Count a request; return ``None`` if there is no limit, or the request could not be counted.

        Raises:
            ApiError: 429; 503 if it cannot be counted and ``when_counters_fail`` is not ``open``.
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
        """Take one of the tenant's streams; ``None`` if there is no limit, or they cannot be counted.

        Raises:
            ApiError: 429; 503 if they cannot be counted and ``when_counters_fail`` is not ``open``.
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
        if self._config.when_counters_fail == "open":
            logger.warning("a request could not be counted: %s", error)
            return
        message = "The rate limits cannot be checked now; try again shortly."
        headers = retry_headers(error.retry_after)
        raise ApiError(503, message, kind="server_error", code="limits_unavailable", headers=headers)


def _window_headers(window: RateWindow) -> dict[str, str]:
    """Return OpenAI's rate limit headers for a window."""
    return {
        "x-ratelimit-limit-requests": str(window.limit),
        "x-ratelimit-remaining-requests": str(window.remaining),
        "x-ratelimit-reset-requests": f"{math.ceil(window.reset_seconds * 1000)}ms",
    }
