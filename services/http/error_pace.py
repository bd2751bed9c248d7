"""Rate limit on error responses: clients with many errors are answered later, and so cost others little."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from cachetools import LRUCache
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.addresses import crowd_of
from services.asgi import STARTS, is_request, status_of
from services.middleware import HEALTH_PATHS
from services.tenancy.principal import Principal

BURST_SECONDS: Final = 2.0
"""Burst size: the errors of this many seconds are sent without delay."""

MAX_WAIT_SECONDS: Final = 5.0
"""Maximum delay of an error, in seconds; shorter than clients' timeouts."""

KEPT: Final = 10_000
"""Maximum number of tenants and addresses that are tracked; the least recently used is evicted."""

ERRORS: Final = range(400, 600)


class ErrorPace:
    """ASGI middleware that delays the errors of a tenant, or of an unauthenticated address, after a burst.

    It hardly affects clients that respect ``Retry-After``. Clients that retry at once get errors at ``rate``,
    however many connections they use, up to ``rate * MAX_WAIT_SECONDS``; with more, each connection gets one
    every :data:`MAX_WAIT_SECONDS`.

    Args:
        app: The wrapped ASGI app.
        rate: Errors per second for one tenant or address.
        clock: Returns a monotonic time in seconds.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._app = app
        self._interval = 1 / rate
        self._clock = clock
        self._sleep = sleep
        self._next: LRUCache[str, float] = LRUCache(KEPT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; delay its response if it is an error."""
        if not is_request(scope) or scope["path"] in HEALTH_PATHS:
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        accepted = False

        async def paced(message: Message) -> None:
            nonlocal start, accepted
            if message["type"] in STARTS:
                if status_of(message) in ERRORS:
                    # Delayed with its body, when what inner layers hold for the response is already released.
                    start = message
                    return
                accepted = True
            refused = message["type"] == "websocket.close" and not accepted
            if (start is not None or refused) and (wait := self._wait(_who(scope))):
                await self._sleep(wait)
            if start is not None:
                first, start = start, None
                await send(first)
            await send(message)

        await self._app(scope, receive, paced)

    def _wait(self, who: str) -> float:
        """Return the delay of a client's next error in seconds, by the GCRA of ITU-T I.371."""
        now = self._clock()
        due = max(self._next.get(who, now), now)
        wait = min(max(0.0, due - now - BURST_SECONDS), MAX_WAIT_SECONDS)
        self._next[who] = min(due + self._interval, now + BURST_SECONDS + MAX_WAIT_SECONDS)
        return wait


def _who(scope: Scope) -> str:
    principal: Principal | None = scope.get("state", {}).get("principal")
    if principal is not None:
        return principal.org_id
    return crowd_of(scope.get("client"))
