"""Logging in, refreshing tokens and logging out."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from services.config import AuthConfig
from services.counters.contract import Counters
from services.errors import ApiError
from services.gate import DatabaseGate
from services.tenancy.authenticator import Authenticator, unauthorized
from services.tenancy.keys import parse_key
from services.tenancy.login_guard import LoginGuard
from services.tenancy.origin import Origin
from services.tenancy.passwords import Passwords
from services.tokens import Claims, TokenSigner, hash_token, is_refresh_token, make_refresh_token
from storage.columns import address_key, new_id, now
from storage.repositories.tokens import TokenRepository
from storage.repositories.users import UserRepository
from storage.tables import Org, RefreshToken, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """Tokens that are issued to a client.

    Attributes:
        access_token: The access token, a JWT.
        expires_in: Lifetime of the access token in seconds.
        refresh_token: The token to exchange for new tokens; ``None`` if the login was an API key.
        org_id: ID of the tenant.
    """

    access_token: str
    expires_in: int
    refresh_token: str | None
    org_id: str


class Sessions:
    """Issues and revokes tokens.

    Args:
        gate: The database.
        signer: Signs access tokens.
        config: The settings.
        authenticator: Checks API keys.
        counters: The counters of failures.
        guard: Limits password guessing.
        passwords: Verifies passwords.
    """

    def __init__(
        self,
        gate: DatabaseGate,
        signer: TokenSigner,
        config: AuthConfig,
        authenticator: Authenticator,
        counters: Counters,
        guard: LoginGuard,
        passwords: Passwords,
    ) -> None:
        self._gate = gate
        self._signer = signer
        self._config = config
        self._authenticator = authenticator
        self._guard = guard
        self._token_guard = LoginGuard(counters, config, realm="token")
        self._passwords = passwords

    async def login(self, email: str, password: str, org: str | None, origin: Origin) -> Issued:
        """Log a user in.

        Args:
            email: The user's e-mail address.
            password: The user's password.
            org: ID or name of the tenant; by default the one that the user has belonged to longest.
            origin: Origin of the request.

        Raises:
            ApiError: 401, the same for an unknown or disabled user, a wrong password and a tenant that the
                user does not belong to; 429 after too many failures.
        """
        address = origin.address
        await self._guard.check(address, email)
        async with self._gate.read() as session:
            user = await UserRepository(session).by_email(email)
        known = user is not None and user.disabled_at is None
        password_hash = user.password_hash if user and known else None
        good = await self._passwords.verify(password, password_hash, address=address)
        if not good:
            # Count the failure at once, to limit concurrent guesses.
            await self._guard.failed(address, email)
        async with self._gate.write() as session:
            place = await _place(session, user, org) if user and good else None
            if user is None or place is None:
                # The input may be a password in the wrong field, so only its hash is logged.
                typed = hashlib.sha256(address_key(email).encode()).hexdigest()[:16]
                details = {"email_sha256": typed}
                org_id = place.id if place else None
                await origin.log(session, org_id, "login.failed", details=details, actor="anonymous")
                issued = None
            else:
                await origin.log(session, place.id, "login", actor=user.id)
                issued = await self._issue(session, user.id, place.id, new_id("fam"))
        if issued is None:
            if good:
                await self._guard.failed(address, email)
            raise unauthorized("The e-mail address or the password is wrong.", "invalid_credentials")
        await self._guard.succeeded(address, email)
        return issued

    async def refresh(self, refresh_token: str, origin: Origin) -> Issued:
        """Exchange a refresh token for new tokens. Each works once; a second use ends the session.

        Raises:
            ApiError: 401; 429 after too many invalid tokens.
        """
        wrong = unauthorized("The refresh token is invalid, used or expired.", "invalid_refresh_token")
        token_hash = hash_token(refresh_token)
        token = await self._find(token_hash) if is_refresh_token(refresh_token) else None
        if token is None:
            raise await self._refused(wrong, origin, token_hash)
        try:
            issued = await self._rotated(token, origin)
        except ApiError as error:
            raise await self._refused(error, origin, token_hash) from error
        if issued is None:
            raise await self._refused(wrong, origin, token_hash)
        return issued

    async def exchange(self, api_key: str, origin: Origin) -> Issued:
        """Exchange an API key for a token with its scopes, which expires with the key at the latest.

        Tokens cannot be exchanged, since a stolen one could then be renewed forever.

        Raises:
            ApiError: 401; 429 after too many invalid keys.
        """
        parts = parse_key(api_key)
        account = hash_token(api_key) if parts is None else parts[0]
        if parts is None:
            wrong = unauthorized("This is not an API key.", "invalid_api_key")
            raise await self._refused(wrong, origin, account)
        try:
            principal = await self._authenticator.identify(api_key)
        except ApiError as error:
            raise await self._refused(error, origin, account) from error
        tokens = await self._signer.tokens()
        seconds = tokens.seconds
        if principal.expires_at is not None:
            seconds = max(0.0, min(seconds, (principal.expires_at - now()).total_seconds()))
        signed = tokens.sign(principal.claims, seconds=seconds)
        return Issued(
            access_token=signed, expires_in=int(seconds), refresh_token=None, org_id=principal.org_id
        )

    async def logout(self, family: str, org_id: str, actor: str, origin: Origin) -> None:
        """End a session: its tokens stop working."""
        async with self._gate.write() as session:
            await TokenRepository(session).revoke_family(family)
            await origin.log(session, org_id, "logout", actor=actor)

    async def _find(self, token_hash: str) -> RefreshToken | None:
        # A read transaction: unauthenticated clients must not take the write lock.
        async with self._gate.read() as session:
            return await TokenRepository(session).find(token_hash)

    async def _rotated(self, token: RefreshToken, origin: Origin) -> Issued | None:
        """Return the next tokens of a login; ``None`` if the token was used before, which ends the login.

        Raises:
            ApiError: 401, the session has ended, or its user has no access to the tenant now.
        """
        if token.expires_at <= now() or token.revoked_at is not None:
            raise unauthorized("The session has ended.", "session_ended")
        # Checked first, so that an attempt while the tenant is disabled does not use up the token.
        await self._authenticator.confirm(
            Claims(org_id=token.org_id, user_id=token.user_id, family=token.family)
        )
        async with self._gate.write() as session:
            tokens = TokenRepository(session)
            if await tokens.use(token):
                return await self._issue(session, token.user_id, token.org_id, token.family)
            # The token was copied, and the server cannot tell the user from the thief.
            await tokens.revoke_family(token.family)
            details = {"reason": "a refresh token was used again"}
            await origin.log(session, token.org_id, "session.ended", details=details, actor=token.user_id)
        return None

    async def _refused(self, error: ApiError, origin: Origin, account: str) -> ApiError:
        """Return the error for an invalid credential: the original one, or 429 after too many.

        Valid credentials never wait, so that clients cannot delay others behind the same address. This is
        safe: credentials cannot be guessed, and a look-up costs no more than with any other request.
        """
        try:
            await self._token_guard.check(origin.address, account)
        except ApiError as later:
            return later
        await self._token_guard.failed(origin.address, account)
        return error

    async def _issue(self, session: AsyncSession, user_id: str, org_id: str, family: str) -> Issued:
        refresh_token = make_refresh_token()
        await TokenRepository(session).create(
            family=family,
            org_id=org_id,
            user_id=user_id,
            token_hash=hash_token(refresh_token),
            expires_at=now() + timedelta(days=self._config.refresh_token_days),
        )
        tokens = await self._signer.tokens()
        signed = tokens.sign(Claims(org_id=org_id, user_id=user_id, family=family))
        return Issued(
            access_token=signed, expires_in=int(tokens.seconds), refresh_token=refresh_token, org_id=org_id
        )


async def _place(session: AsyncSession, user: User, org: str | None) -> Org | None:
    """Return the tenant that a user logs in to; ``None`` if the user is not a member, or it is disabled."""
    for place, _ in await UserRepository(session).orgs_of(user.id):
        named = org is None or org == place.id or org.casefold() == place.name.casefold()
        if named and place.disabled_at is None:
            return place
    return None
