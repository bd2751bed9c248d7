"""Ends responses whose caller has lost the right to them.

A response may take minutes, longer than its caller's credentials are cached. So the callers of responses in
progress are looked up periodically, once for all of a caller's responses. If a key was revoked, a session has
ended, a user was removed or a tenant disabled, the responses are cut off.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, cast

from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from services.asgi import close
from services.config import AuthConfig
from services.errors import ApiError
from services.tasks import Chore
from services.tenancy.authenticator import Authenticator
from services.tenancy.principal import Principal
from services.tenancy.scopes import Access, Scope
from services.tokens import Claims

logger = logging.getLogger(__name__)

OPEN: Final = frozenset({"websocket.accept", "websocket.send"})
"""Messages after which a WebSocket is open."""

MIN_POLL_SECONDS: Final = 1.0
"""Minimum seconds between two checks."""


class _Answer:
    """A response in progress.

    Args:
        claims: The caller's claims.
        scope: The scope that the caller needs, if any.
        bound: The timeout around the work, which is expired to end it.
    """

    def __init__(self, claims: Claims, scope: Scope | None, bound: asyncio.Timeout) -> None:
        self.claims = claims
        self.scope = scope
        self.refusal: ApiError | None = None
        self._bound = bound

    def cut(self, refusal: ApiError) -> None:
        """End the response; idempotent."""
        if self.refusal is None:
            self.refusal = refusal
            self._bound.reschedule(asyncio.get_running_loop().time())


class AccessWatch:
    """Checks the callers of the responses in progress in one process.

    Args:
        authenticator: Looks up the callers.
        config: The settings.

    Attributes:
        chore: The background task.
    """

    def __init__(self, authenticator: Authenticator, config: AuthConfig) -> None:
        self._authenticator = authenticator
        self._answers: dict[Claims, set[_Answer]] = {}
        # A check that fails for an unreachable database ends no response, as with voices.
        period = max(MIN_POLL_SECONDS, config.cache_seconds)
        self.chore = Chore("checking whose access has ended", self._look, every=period)

    async def serve(
        self, app: ASGIApp, access: Access, connection: Connection, receive: Receive, send: Send
    ) -> None:
        """Run the app for a request, as long as its caller has the right to the response.

        Speech requests and uploads are watched from the start, other requests only once their response has
        started, so that changes are not interrupted. A response that has started is cut off; otherwise, the
        client gets a 401 or 403. A WebSocket is closed with the reason.

        Args:
            app: The wrapped app. For a signed URL, it adds the principal to the request's state.
            access: The access that the route requires.
            connection: The ASGI scope, with the principal in its state if there is one.
            receive: The connection's ``receive``.
            send: The connection's ``send``.
        """
        answer: _Answer | None = None
        last: str | None = None

        async def noting(message: Message) -> None:
            nonlocal last
            if last is None:
                begin()
            last = message["type"]
            await send(message)

        try:
            async with asyncio.timeout(None) as bound:

                def begin() -> None:
                    nonlocal answer
                    if answer is None and (claims := _claims(connection, access)) is not None:
                        answer = _Answer(claims, access.scope, bound)
                        self._answers.setdefault(claims, set()).add(answer)

                if access.metered or access.upload:
                    begin()
                await app(connection, receive, noting)
        except TimeoutError:
            if answer is None or answer.refusal is None or not bound.expired():
                raise
            logger.info("a response was cut off: %s", answer.refusal.body.message)
            await _end(answer.refusal, last, connection, receive, send)
        finally:
            if answer is not None:
                self._forget(answer)

    def _forget(self, answer: _Answer) -> None:
        under_way = self._answers[answer.claims]
        under_way.discard(answer)
        if not under_way:
            del self._answers[answer.claims]

    async def _look(self) -> None:
        for claims in list(self._answers):
            try:
                principal = await self._authenticator.confirm(claims)
            except ApiError as refusal:
                for answer in self._answers.get(claims, ()):
                    answer.cut(refusal)
                continue
            for answer in self._answers.get(claims, ()):
                if answer.scope is not None and answer.scope not in principal.scopes:
                    answer.cut(forbidden(answer.scope))


class Watched:
    """ASGI middleware that ends a response when its caller loses the right to it.

    Args:
        app: The wrapped app.
        watch: Returns the watch; available once the app has started.
    """

    def __init__(self, app: ASGIApp, watch: Callable[[], AccessWatch]) -> None:
        self._app = app
        self._watch = watch

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Pass the request on, watched unless the route is public."""
        access = cast("Access | None", scope.get("state", {}).get("access"))
        if access is None or access.everyone:
            await self._app(scope, receive, send)
        else:
            await self._watch().serve(self._app, access, scope, receive, send)


async def _end(
    refusal: ApiError, last: str | None, connection: Connection, receive: Receive, send: Send
) -> None:
    """Send the client the reason, if its response has not started or the connection is a WebSocket.

    Args:
        refusal: The reason.
        last: Type of the last ASGI message that was sent, if any.
        connection: The ASGI scope.
        receive: The connection's ``receive``.
        send: The connection's ``send``.
    """
    if last is None:
        await refusal.answer(connection, receive, send)
    elif last in OPEN:
        await close(refusal.body.message, connection, receive, send)


def _claims(connection: Connection, access: Access) -> Claims | None:
    """Return the claims of the caller to look up; ``None`` if there is nothing to look up.

    That is the case without a principal, and in local mode without a key.
    """
    principal: Principal | None = connection["state"].get("principal")
    if principal is None:
        return None
    claims = principal.claims
    return claims if access.signed or claims.key_id or claims.user_id else None


def forbidden(scope: Scope) -> ApiError:
    """Return an error with status 403, for a caller that lacks a scope."""
    return ApiError(
        403, f"This requires the scope '{scope}', which the key or role lacks.", code="insufficient_scope"
    )
