"""Errors at a pace: whoever is refused again and again is answered later, and costs others little."""

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
"""Seconds' worth of errors that are sent at once."""

MAX_WAIT_SECONDS: Final = 5.0
"""Seconds that an error waits at most: less than a client waits for an answer."""

KEPT: Final = 10_000
"""Tenants and addresses whose errors are counted; the one whose last error is longest ago goes first."""

ERRORS: Final = range(400, 600)


class ErrorPace:
    """Delays errors once a tenant, or an address that gave no good key, has had many of them.

    A client that waits as ``Retry-After`` says hardly notices. One that asks again at once is answered at
    the pace, whatever number of connections it has up to ``rate * MAX_WAIT_SECONDS``; with more, each is
    answered every :data:`MAX_WAIT_SECONDS`.

    Args:
        app: What answers.
        rate: Errors a second that one tenant or address is sent.
        clock: Tells seconds that only grow.
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
        """Answer the request."""
        if not is_request(scope) or scope["path"] in HEALTH_PATHS:
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        accepted = False

        async def paced(message: Message) -> None:
            nonlocal start, accepted
            if message["type"] in STARTS:
                if status_of(message) in ERRORS:
                    # With its body: what the route holds until its answer is complete waits for nothing.
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
        """Seconds until the next error of somebody may be sent, by ITU-T I.371's cell rate algorithm."""
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
