"""Users' own accounts: accepting an invitation, choosing and changing a password.

Passwords are checked and hashed before the transaction that uses the result; the transaction
then checks that nothing has changed meanwhile.
"""

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import ApiError, invalid
from services.gate import DatabaseGate
from services.tenancy.authenticator import Authenticator, unauthorized
from services.tenancy.login_guard import LoginGuard
from services.tenancy.origin import Origin
from services.tenancy.passwords import Passwords
from services.tenancy.principal import Principal
from services.tokens import hash_token
from storage.errors import Conflict
from storage.repositories.invitations import find_invitation, use_invitation
from storage.repositories.orgs import OrgRepository
from storage.repositories.resets import ResetRepository
from storage.repositories.tokens import TokenRepository
from storage.repositories.users import MemberRepository, UserRepository
from storage.tables import Invitation, Org, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The membership that results from an accepted invitation.

    Attributes:
        user_id: ID of the user.
        email: The user's address, in its stored form.
        org_id: ID of the tenant.
        org: Name of the tenant.
        role: The user's role in the tenant.
    """

    user_id: str
    email: str
    org_id: str
    org: str
    role: str


class _Offer(NamedTuple):
    """An open invitation, its tenant, and the user with its address, if any."""

    invitation: Invitation
    org: Org
    user: User | None


class Accounts:
    """Changes that require proof of identity from the user.

    Args:
        gate: The database.
        authenticator: Authenticates access tokens.
        guard: Limits password guessing; shared with logins.
        token_guard: Limits guessing of one-time tokens.
        passwords: Checks and hashes passwords.
    """

    def __init__(
        self,
        gate: DatabaseGate,
        authenticator: Authenticator,
        *,
        guard: LoginGuard,
        token_guard: LoginGuard,
        passwords: Passwords,
    ) -> None:
        self._gate = gate
        self._authenticator = authenticator
        self._guard = guard
        self._token_guard = token_guard
        self._passwords = passwords

    async def accept(
        self, token: str, *, password: str | None, name: str | None, credential: str | None, origin: Origin
    ) -> Accepted:
        """Accept an invitation.

        A new user chooses a password. An existing user proves their identity by the account's password or by
        a session: the token alone gives no access to an account.

        Args:
            token: Token of the invitation.
            password: A new user's password, or the password of the existing account.
            name: A new user's display name.
            credential: Access token of a session, as an alternative to the password.
            origin: Origin of the request.

        Raises:
            ApiError: 400, 401 for a wrong password or session, 409 if the account was created or changed
                meanwhile, 429, 503.
            Conflict: The user is a member already.
        """
        offer = await self._offer(token, origin)
        if password is None:
            if offer.user is None or credential is None:
                message = "Send a password: a new one, or that of the address's existing account."
                raise invalid(message, "password", "missing")
            await self._check_session(offer.user, credential)
        else:
            await self._guard.check(origin.address, offer.invitation.email)
            # For known and unknown addresses, so that a weak password reveals nothing about the address.
            hashed = await self._passwords.hash(
                password, about=[offer.invitation.email, offer.org.name], address=origin.address
            )
            if offer.user is None:
                return await self._accept_new(offer, hashed, name or "", origin)
            await self._prove(offer.user, password, origin)
        if name is not None:
            raise invalid("The account already has a name: leave it out.", "name")
        return await self._accept_known(offer, offer.user, origin)

    async def change_password(self, caller: Principal, old: str, new: str, origin: Origin) -> None:
        """Change the caller's own password, and end the user's other sessions.

        Args:
            caller: The caller, which must have a session.
            old: The current password.
            new: The new password.
            origin: Origin of the request.

        Raises:
            ApiError: 400 for a weak new password, 401 if the user no longer exists, 403 for a wrong old
                password or without a session, 409 if the password was changed meanwhile, 429, 503.
        """
        if caller.user_id is None or caller.family is None:
            message = "Only a logged-in user can change a password; API keys have none."
            raise ApiError(403, message, code="session_required")
        async with self._gate.read() as session:
            user = await UserRepository(session).get(caller.user_id)
        if user is None:
            raise unauthorized("The user no longer exists.", "invalid_api_key")
        await self._guard.check(origin.address, user.email)
        try:
            await self._prove(user, old, origin)
        except ApiError as error:
            if error.body.code != "invalid_credentials":
                raise
            message = "The old password is wrong."
            raise ApiError(403, message, param="old_password", code="invalid_credentials") from error
        about = [user.email, user.name, caller.org_name]
        hashed = await self._passwords.hash(new, about=about, address=origin.address)
        async with self._gate.write() as session:
            now = await _unchanged(session, user)
            await UserRepository(session).set_password(now, hashed)
            await TokenRepository(session).revoke_user(user.id, keep=caller.family)
            await ResetRepository(session).forget(user.id)
            await origin.log(session, caller.org_id, "user.password_changed", target=user.id, actor=user.id)

    async def reset_password(self, token: str, password: str, origin: Origin) -> None:
        """Set a user's password with a reset token, and end all of the user's sessions.

        Raises:
            ApiError: 400 for a weak password or an invalid token, 429, 503.
        """
        token_hash = hash_token(token)
        async with self._gate.read() as session:
            user_id = await ResetRepository(session).find(token_hash)
            user = None if user_id is None else await UserRepository(session).get(user_id)
        if user is None:
            raise await self._refused("reset", token_hash, origin)
        hashed = await self._passwords.hash(password, about=[user.email, user.name], address=origin.address)
        async with self._gate.write() as session:
            users = UserRepository(session)
            now = await users.lock(user.id)
            if now is None or await ResetRepository(session).use(token_hash) is None:
                raise _bad_token("reset")
            await users.set_password(now, hashed)
            await TokenRepository(session).revoke_user(user.id)
            for org_id in [org.id for org, _ in await users.orgs_of(user.id)] or [None]:
                await origin.log(session, org_id, "user.password_reset", target=user.id, actor=user.id)

    async def _offer(self, token: str, origin: Origin) -> _Offer:
        token_hash = hash_token(token)
        async with self._gate.read() as session:
            invitation = await find_invitation(session, token_hash)
            org = None if invitation is None else await OrgRepository(session).get(invitation.org_id)
            if invitation is not None and org is not None and org.disabled_at is None:
                user = await UserRepository(session).by_email(invitation.email)
                return _Offer(invitation, org, user)
        raise await self._refused("invitation", token_hash, origin)

    async def _accept_new(self, offer: _Offer, password_hash: str, name: str, origin: Origin) -> Accepted:
        try:
            async with self._gate.write() as session:
                users = UserRepository(session)
                user = await users.create(offer.invitation.email, password_hash=password_hash, name=name)
                return await _take(session, offer, user, origin)
        except Conflict as error:
            message = "An account of that address exists now: send its password."
            raise ApiError(409, message, param="password", code="conflict") from error

    async def _accept_known(self, offer: _Offer, user: User, origin: Origin) -> Accepted:
        async with self._gate.write() as session:
            return await _take(session, offer, await _unchanged(session, user), origin)

    async def _check_session(self, user: User, credential: str) -> None:
        caller = await self._authenticator.identify(credential)
        if caller.family is None or caller.user_id != user.id:
            message = "The session does not belong to the invited address."
            raise unauthorized(message, "invalid_credentials")

    async def _prove(self, user: User, password: str, origin: Origin) -> None:
        """Check a user's password. Call the guard's ``check`` before.

        Raises:
            ApiError: 401, 429.
        """
        known = user.password_hash if user.disabled_at is None else None
        if await self._passwords.verify(password, known, address=origin.address):
            await self._guard.succeeded(origin.address, user.email)
            return
        await self._guard.failed(origin.address, user.email)
        async with self._gate.write() as session:
            await origin.log(session, None, "password.failed", target=user.id)
        raise unauthorized("The password is wrong.", "invalid_credentials")

    async def _refused(self, kind: str, token_hash: str, origin: Origin) -> ApiError:
        """Return the error for an invalid token: 400, or 429 after too many. Valid tokens never wait."""
        try:
            await self._token_guard.check(origin.address, token_hash)
        except ApiError as later:
            return later
        await self._token_guard.failed(origin.address, token_hash)
        return _bad_token(kind)


async def _take(session: AsyncSession, offer: _Offer, user: User, origin: Origin) -> Accepted:
    """Use an invitation: add a user, whose row is locked, to its tenant."""
    invitation = offer.invitation
    org = await OrgRepository(session).lock(invitation.org_id)
    if org is None or org.disabled_at is not None or not await use_invitation(session, invitation.id):
        raise _bad_token("invitation")
    await MemberRepository(session, org.id).add(user, invitation.role)
    details = {"invitation": invitation.id, "role": invitation.role}
    await origin.log(session, org.id, "invitation.accepted", target=user.id, details=details, actor=user.id)
    return Accepted(user_id=user.id, email=user.email, org_id=org.id, org=org.name, role=invitation.role)


async def _unchanged(session: AsyncSession, user: User) -> User:
    """Lock and return a user, after checking that their password has not changed.

    Raises:
        ApiError: 409.
    """
    now = await UserRepository(session).lock(user.id)
    if now is None or now.disabled_at is not None or now.password_hash != user.password_hash:
        raise ApiError(409, "The account was changed concurrently; try again.", code="conflict")
    return now


def _bad_token(kind: str) -> ApiError:
    message = f"The {kind}'s token is invalid, used, revoked or expired."
    return invalid(message, "token", f"{kind}_not_found")
