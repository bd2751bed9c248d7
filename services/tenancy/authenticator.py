"""Resolves keys and tokens to principals, through the database and a short-lived cache."""

import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from cachetools import LRUCache
from sqlalchemy.ext.asyncio import AsyncSession

from services.config import AuthConfig
from services.errors import ApiError
from services.gate import DatabaseGate
from services.sharing.slots import CLAIMANT, Claimant
from services.tasks import SingleFlight
from services.tenancy.keys import MARK, matches, parse_key
from services.tenancy.principal import Principal
from services.tenancy.scopes import EVERYTHING, Scope, scopes_of
from services.tokens import Claims, InvalidToken, TokenSigner
from storage.columns import now
from storage.repositories.keys import find_key, touch_keys
from storage.repositories.orgs import LOCAL_ORG_ID, OrgRepository
from storage.repositories.tokens import TokenRepository
from storage.repositories.users import MemberRepository
from storage.tables import ApiKey, Org

CACHED: Final = 10_000
"""Maximum number of cached principals; the least recently used are evicted."""

JWT: Final = "eyJ"
"""Prefix of a JWT: base64url of ``{"``."""

DOTS: Final = 2
"""Number of separators between the parts of a JWT."""

LOCAL: Final = Principal(org_id=LOCAL_ORG_ID, org_name="local", plan="", scopes=EVERYTHING)
"""The caller without a key in local mode."""


class Authenticator:
    """Authenticates requests.

    Args:
        gate: The database of keys, users and tenants.
        signer: Reads access tokens.
        config: The settings.
        default_plan: Name of the local tenant's plan.
    """

    def __init__(
        self, gate: DatabaseGate, signer: TokenSigner, config: AuthConfig, *, default_plan: str
    ) -> None:
        self._gate = gate
        self._signer = signer
        self._config = config
        self._local = Principal(
            org_id=LOCAL.org_id, org_name=LOCAL.org_name, plan=default_plan, scopes=LOCAL.scopes
        )
        self._known: LRUCache[bytes | Claims, tuple[float, Principal]] = LRUCache(CACHED)
        self._asked: SingleFlight[Principal] = SingleFlight()
        self._used: dict[str, datetime] = {}

    async def identify(self, credential: str | None) -> Principal:
        """Return the principal of a credential, or of a request without one.

        In local mode, any text that does not look like one of this server's keys or tokens means the local
        tenant: SDKs require a key, and users enter arbitrary ones.

        Raises:
            ApiError: 401.
            StorageUnavailable: The database is unavailable.
        """
        local = self._config.mode == "local"
        if credential is None or (local and not _is_ours(credential)):
            if local:
                return self._local
            raise unauthorized("Missing API key: send 'Authorization: Bearer <key>'.", "missing_api_key")
        mark = hashlib.sha256(credential.encode()).digest()
        principal = await self._remembered(mark, lambda: self._ask(credential))
        if principal.key_id is not None:
            self._used[principal.key_id] = now()
        return principal

    async def signer(self, claims: Claims) -> Principal:
        """Return the principal that signed a URL: a key, a user regardless of sessions, or only a tenant.

        Raises:
            ApiError: 401, the signer no longer has access to the tenant, or the tenant is disabled.
            StorageUnavailable: The database is unavailable.
        """
        return await self._remembered(claims, lambda: self.confirm(claims))

    async def confirm(self, claims: Claims) -> Principal:
        """Return a caller's current principal, from the database instead of the cache.

        Args:
            claims: The caller's identity. Claims of only a tenant give access to its stored audio.

        Raises:
            ApiError: 401, the caller no longer has access.
            StorageUnavailable: The database is unavailable.
        """
        async with self._gate.read() as session:
            if claims.key_id is None and claims.user_id is None:
                # From a signed URL of the tenant's audio, without a key.
                return _of_org(await _open_org(session, claims.org_id), frozenset({Scope.AUDIO}))
            return await _by_claims(session, claims)

    async def _remembered(self, mark: bytes | Claims, ask: Callable[[], Awaitable[Principal]]) -> Principal:
        known = self._known.get(mark)
        if known is not None:
            if known[0] > time.monotonic():
                return known[1]
            # The credential was valid until recently, so its check counts for its tenant.
            CLAIMANT.set(Claimant(known[1].org_id))
        if not self._config.cache_seconds:
            return await ask()
        # Many requests of one tenant may arrive while the query runs.
        return await self._asked.run(mark, lambda: self._learn(mark, ask))

    async def _learn(self, mark: bytes | Claims, ask: Callable[[], Awaitable[Principal]]) -> Principal:
        clock = time.monotonic()
        try:
            principal = await ask()
        except ApiError:
            self._known.pop(mark, None)
            raise
        seconds = self._config.cache_seconds
        if principal.expires_at is not None:
            seconds = min(seconds, (principal.expires_at - now()).total_seconds())
        self._known[mark] = (clock + seconds, principal)
        return principal

    async def flush(self) -> None:
        """Write the times at which keys were last used.

        Raises:
            StorageUnavailable: The database is unavailable; the times are kept.
        """
        if not self._used:
            return
        used, self._used = self._used, {}
        try:
            async with self._gate.write() as session:
                await touch_keys(session, used)
        except BaseException:
            self._used = {**used, **self._used}
            raise

    async def _ask(self, credential: str) -> Principal:
        if credential.startswith(MARK):
            return await self._by_key(credential)
        try:
            claims = (await self._signer.tokens()).read(credential)
        except InvalidToken as error:
            raise unauthorized(str(error), "token_expired" if error.expired else "invalid_api_key") from error
        async with self._gate.read() as session:
            return await _by_claims(session, claims)

    async def _by_key(self, text: str) -> Principal:
        parts = parse_key(text)
        if parts is None:
            raise _wrong_key()
        prefix, secret = parts
        async with self._gate.read() as session:
            key = await find_key(session, prefix)
            if key is None or not matches(secret, key.secret_hash):
                raise _wrong_key()
            return await _of_key(session, key)


def unauthorized(message: str, code: str) -> ApiError:
    """Return an error with status 401."""
    return ApiError(401, message, code=code, headers={"www-authenticate": "Bearer"})


def _wrong_key() -> ApiError:
    return unauthorized("The API key is invalid.", "invalid_api_key")


def _is_ours(credential: str) -> bool:
    """Whether a credential looks like one of this server's keys or tokens."""
    return credential.startswith(MARK) or (credential.startswith(JWT) and credential.count(".") == DOTS)


async def _by_claims(session: AsyncSession, claims: Claims) -> Principal:
    if claims.key_id is not None:
        key = await session.get(ApiKey, claims.key_id)
        if key is None or key.org_id != claims.org_id:
            raise _wrong_key()
        return await _of_key(session, key)
    org = await _open_org(session, claims.org_id)
    member = None if claims.user_id is None else await MemberRepository(session, org.id).get(claims.user_id)
    if member is None or member.user.disabled_at is not None:
        raise unauthorized("The user no longer has access to this organisation.", "invalid_api_key")
    if claims.family is not None and not await TokenRepository(session).family_is_good(claims.family):
        raise unauthorized("The session has ended.", "session_ended")
    scopes = scopes_of(member.role, operator=member.user.operator)
    return replace(
        _of_org(org, scopes),
        user_id=member.user.id,
        role=member.role,
        family=claims.family,
    )


def _of_org(org: Org, scopes: frozenset[Scope]) -> Principal:
    """Return a principal of a tenant without a user or key."""
    return Principal(
        org_id=org.id,
        org_name=org.name,
        plan=org.plan,
        limits=org.limits,
        retention=org.retention,
        scopes=scopes,
    )


async def _of_key(session: AsyncSession, key: ApiKey) -> Principal:
    if key.revoked_at is not None:
        raise unauthorized("The API key was revoked.", "invalid_api_key")
    if key.expires_at is not None and key.expires_at <= now():
        raise unauthorized("The API key has expired.", "invalid_api_key")
    org = await _open_org(session, key.org_id)
    scopes = frozenset(scope for scope in Scope if scope in key.scopes)
    if key.user_id is not None:
        # A key has at most the current rights of its user.
        member = await MemberRepository(session, org.id).get(key.user_id)
        if member is None or member.user.disabled_at is not None:
            raise unauthorized(
                "The API key's user no longer has access to this organisation.", "invalid_api_key"
            )
        scopes &= scopes_of(member.role, operator=member.user.operator)
    return replace(
        _of_org(org, scopes),
        user_id=key.user_id,
        key_id=key.id,
        expires_at=key.expires_at,
    )


async def _open_org(session: AsyncSession, org_id: str) -> Org:
    org = await OrgRepository(session).get(org_id)
    if org is None or org.disabled_at is not None:
        raise unauthorized("The organisation is not active.", "organization_disabled")
    return org
