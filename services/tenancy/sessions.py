"""Logging in, refreshing and logging out."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from services.config import AuthConfig
from services.errors import ApiError, retry_headers
from services.quota.counters import Counters, CountersUnavailable
from services.tenancy.authenticator import Authenticator, unauthorized
from services.tenancy.gate import DatabaseGate
from services.tenancy.origin import Origin
from services.tenancy.passwords import Passwords
from services.tenancy.tokens import Claims, hash_token, make_refresh_token
from storage.columns import new_id, now
from storage.repositories.audit import AuditRepository
from storage.repositories.tokens import TokenRepository
from storage.repositories.users import UserRepository
from storage.tables import Org, RefreshToken, User

PER_ADDRESS: Final = 10
"""Failed logins of one address for each that one user has: many people share an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """Tokens for a client.

    Attributes:
        access_token: A JWT.
        expires_in: Seconds it is good.
        refresh_token: For the next one; ``None`` for tokens made from API keys.
        org_id: The tenant.
    """

    access_token: str
    expires_in: int
    refresh_token: str | None
    org_id: str


class Sessions:
    """Logins.

    Args:
        gate: The database.
        config: The settings.
        authenticator: Checks API keys.
        counters: Count failed logins.
        passwords: Checks them.
    """

    def __init__(
        self,
        gate: DatabaseGate,
        config: AuthConfig,
        authenticator: Authenticator,
        counters: Counters,
        passwords: Passwords,
    ) -> None:
        self._gate = gate
        self._config = config
        self._authenticator = authenticator
        self._counters = counters
        self._passwords = passwords

    async def login(self, email: str, password: str, org: str | None, origin: Origin) -> Issued:
        """Log a user in.

        Args:
            email: Theirs.
            password: Theirs.
            org: The tenant, by id or name; by default the one they have belonged to longest.
            origin: Where it comes from.

        Raises:
            ApiError: 401 alike for an unknown user, a wrong password, a locked user and another's tenant;
                429 after too many.
        """
        mark = await self._slow_down(email, origin)
        async with self._gate.read() as session:
            user = await UserRepository(session).by_email(email)
        known = user is not None and user.disabled_at is None
        try:
            good = await self._passwords.verify(password, user.password_hash if user and known else None)
        except TimeoutError as error:
            raise ApiError(
                503,
                "Too many logins at once; try again shortly.",
                kind="server_error",
                headers=retry_headers(2),
            ) from error
        async with self._gate.write() as session:
            place = await _place(session, user, org) if user and good else None
            audit = AuditRepository(session, place.id if place else None)
            address, request_id = origin.address, origin.request_id
            if user is None or place is None:
                # What was typed may be a password in the wrong field: only its hash is kept.
                typed = hashlib.sha256(email.lower().encode()).hexdigest()[:16]
                await audit.add(
                    "login.failed",
                    actor="anonymous",
                    address=address,
                    request_id=request_id,
                    details={"email_sha256": typed},
                )
                issued = None
            else:
                await audit.add("login", actor=user.id, address=address, request_id=request_id)
                issued = await self._issue(session, user.id, place.id, new_id("fam"))
        if issued is None:
            raise unauthorized("The e-mail address or the password is wrong.", "invalid_credentials")
        await self._forgive(mark)
        return issued

    async def refresh(self, refresh_token: str, origin: Origin) -> Issued:
        """Exchange a refresh token for new tokens. Each is good once; a second use ends the session.

        Raises:
            ApiError: 401.
        """
        wrong = unauthorized("The refresh token is wrong, used or too old.", "invalid_refresh_token")
        async with self._gate.write() as session:
            tokens = TokenRepository(session)
            token = await tokens.find(hash_token(refresh_token))
            if token is None:
                raise wrong
            issued = await self._rotate(session, token)
            if issued is None:
                # Somebody has a copy: nobody can tell which of the two is the thief.
                await tokens.revoke_family(token.family)
                await AuditRepository(session, token.org_id).add(
                    "session.ended",
                    actor=token.user_id,
                    address=origin.address,
                    request_id=origin.request_id,
                    details={"reason": "a refresh token was used again"},
                )
        if issued is None:
            raise wrong
        return issued

    async def exchange(self, api_key: str) -> Issued:
        """A token that may do what an API key may, for as long as a token is good.

        Raises:
            ApiError: 401.
        """
        principal = await self._authenticator.identify(api_key)
        if principal.key_id is None:
            raise unauthorized("That is no API key.", "invalid_api_key")
        tokens = await self._gate.open()
        signed = tokens.sign(Claims(org_id=principal.org_id, key_id=principal.key_id))
        return Issued(
            access_token=signed, expires_in=int(tokens.seconds), refresh_token=None, org_id=principal.org_id
        )

    async def logout(self, family: str, org_id: str, actor: str, origin: Origin) -> None:
        """End a session: its tokens are good no more."""
        async with self._gate.write() as session:
            await TokenRepository(session).revoke_family(family)
            await AuditRepository(session, org_id).add(
                "logout", actor=actor, address=origin.address, request_id=origin.request_id
            )

    async def _rotate(self, session: AsyncSession, token: RefreshToken) -> Issued | None:
        """The next tokens of a family; ``None`` when the token was used before."""
        if token.expires_at <= now() or token.revoked_at is not None:
            raise unauthorized("The session has ended.", "session_ended")
        if not await TokenRepository(session).use(token):
            return None
        return await self._issue(session, token.user_id, token.org_id, token.family)

    async def _issue(self, session: AsyncSession, user_id: str, org_id: str, family: str) -> Issued:
        refresh_token = make_refresh_token()
        await TokenRepository(session).create(
            family=family,
            org_id=org_id,
            user_id=user_id,
            token_hash=hash_token(refresh_token),
            expires_at=now() + timedelta(days=self._config.refresh_token_days),
        )
        tokens = await self._gate.open()
        signed = tokens.sign(Claims(org_id=org_id, user_id=user_id, family=family))
        return Issued(
            access_token=signed, expires_in=int(tokens.seconds), refresh_token=refresh_token, org_id=org_id
        )

    async def _slow_down(self, email: str, origin: Origin) -> str:
        """Count an attempt as if it failed; gives what to forgive when it succeeds.

        Raises:
            ApiError: 429 after too many, 503 when nobody counts.
        """
        mark = f"login-{hashlib.sha256(email.lower().encode()).hexdigest()[:32]}"
        limit, period = self._config.max_login_failures, self._config.login_window_seconds
        try:
            windows = [await self._counters.hit(mark, "failures", limit, period)]
            if origin.address:
                place = f"login-from-{origin.address}"
                windows.append(await self._counters.hit(place, "failures", limit * PER_ADDRESS, period))
        except CountersUnavailable as error:
            message, headers = "Logins cannot be counted now; try again shortly.", retry_headers(2)
            raise ApiError(503, message, kind="server_error", headers=headers) from error
        if not all(window.allowed for window in windows):
            wait = max(window.retry_after for window in windows)
            message = "There were too many failed logins; wait before the next."
            raise ApiError(
                429,
                message,
                kind="rate_limit_exceeded",
                code="too_many_logins",
                headers=retry_headers(wait),
            )
        return mark

    async def _forgive(self, mark: str) -> None:
        try:
            await self._counters.clear(mark, "failures")
        except CountersUnavailable:
            return  # it forgets by itself before long


async def _place(session: AsyncSession, user: User, org: str | None) -> Org | None:
    """The tenant a user logs in to; ``None`` when they have no place there."""
    for place, _ in await UserRepository(session).orgs_of(user.id):
        named = org is None or org == place.id or org.casefold() == place.name.casefold()
        if named and place.disabled_at is None:
            return place
    return None
