"""Changes to tenants, users and keys, for the admin routes and the command line.

Every change is recorded in the audit log in the same transaction. The invariants - each tenant has an owner,
the server has an operator, and callers grant only rights that they have - are checked in that transaction
too, with the tenant locked. For the order of locks, see
:meth:`storage.repositories.users.UserRepository.lock`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from services.config import QuotaConfig
from services.errors import ApiError, invalid, not_found
from services.tenancy import texts
from services.tenancy.authority import Authority, authority_of
from services.tenancy.keys import make_key
from services.tenancy.origin import Origin
from services.tenancy.principal import Principal
from services.tenancy.scopes import EVERYDAY, OWNER, ROLES, Scope, scopes_of
from services.tokens import hash_token, make_invitation_token, make_reset_token
from storage.columns import now
from storage.errors import Conflict
from storage.objects.keys import org_prefix
from storage.repositories.doomed import DoomedObjects
from storage.repositories.invitations import InvitationRepository, revoke_invitations_of
from storage.repositories.keys import KeyRepository, keys_of_user
from storage.repositories.orgs import LOCAL_ORG_ID, OrgRepository
from storage.repositories.resets import ResetRepository
from storage.repositories.tokens import TokenRepository
from storage.repositories.users import Member, MemberRepository, UserRepository
from storage.tables import ApiKey, Invitation, Org, User

MOST: Final = 10_000
"""Maximum number of entries in a list."""

MOST_INVITATIONS: Final = 1_000
"""Maximum number of open invitations of a tenant."""

INVITATION_TIME: Final = timedelta(days=7)
"""Validity of an invitation."""

RESET_TIME: Final = timedelta(hours=24)
"""Validity of a reset token."""


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key and its text, which is shown once."""

    key: ApiKey
    text: str


@dataclass(frozen=True, slots=True)
class MadeInvitation:
    """A new invitation and its token, which is shown once."""

    invitation: Invitation
    token: str


@dataclass(frozen=True, slots=True)
class MadeReset:
    """A reset token, which is shown once, and its expiry."""

    user: User
    token: str
    expires_at: datetime


class Administration:
    """Reads and changes tenants, users and keys in one transaction.

    Args:
        session: The transaction; changes need one for writing.
        quota: The quota settings, for the plans.
        origin: Origin of the changes, for the audit log.
        by: The caller, for its permissions.
    """

    def __init__(self, session: AsyncSession, quota: QuotaConfig, origin: Origin, *, by: Principal) -> None:
        self._session = session
        self._quota = quota
        self._origin = origin
        self._by = by

    async def org(self, org_id: str) -> Org:
        """Return a tenant.

        Raises:
            ApiError: 404.
        """
        if (org := await OrgRepository(self._session).get(org_id)) is None:
            raise not_found("organisation", org_id)
        return org

    async def find_org(self, id_or_name: str) -> Org:
        """Return the tenant with an ID or name.

        Raises:
            ApiError: 404.
        """
        if (org := await OrgRepository(self._session).find(id_or_name)) is None:
            raise not_found("organisation", id_or_name)
        return org

    async def orgs(self) -> Sequence[Org]:
        """Return all tenants, up to :data:`MOST`."""
        return await OrgRepository(self._session).list(limit=MOST)

    async def create_org(self, name: str, *, plan: str | None, limits: Mapping[str, Any]) -> Org:
        """Create a tenant.

        Args:
            name: Name of the tenant.
            plan: Name of its plan; by default the default plan.
            limits: Limits that override the plan's.

        Raises:
            ApiError: 400 for an unknown plan or an invalid name.
            Conflict: The name is taken.
        """
        org = await OrgRepository(self._session).create(
            _checked(texts.name, name, "name"), plan=self._plan(plan), limits=limits
        )
        await self._log(org.id, "org.created", org.id, {"name": name, "plan": org.plan})
        return org

    async def update_org(
        self,
        org_id: str,
        *,
        name: str | None = None,
        plan: str | None = None,
        limits: Mapping[str, Any] | None = None,
        retention: Mapping[str, Any] | None = None,
        disabled: bool | None = None,
    ) -> Org:
        """Change the given fields of a tenant; ``None`` leaves a field unchanged.

        Raises:
            ApiError: 400, 404, 409 for locking out the last operator.
            Conflict: The name is taken.
        """
        if disabled:
            await self._keep_an_operator_outside(org_id)
        org = await self._locked(org_id)
        if name is not None:
            name = _checked(texts.name, name, "name")
        if plan is not None:
            plan = self._plan(plan)
        await OrgRepository(self._session).update(
            org, name=name, plan=plan, limits=limits, retention=retention, disabled=disabled
        )
        changes = {
            "name": name,
            "plan": plan,
            "limits": limits,
            "retention": retention,
            "disabled": disabled,
        }
        told = {field: value for field, value in changes.items() if value is not None}
        await self._log(org.id, "org.changed", org.id, told)
        return org

    async def lock_for_good(self, org_id: str) -> Org:
        """Disable a tenant before its deletion, so that nothing is added to it meanwhile.

        Raises:
            ApiError: 400 for the local tenant, 404, 409 for locking out the last operator.
        """
        if org_id == LOCAL_ORG_ID:
            raise invalid("The local organisation cannot be deleted.", "org_id")
        return await self.update_org(org_id, disabled=True)

    async def delete_org(self, org_id: str) -> Org:
        """Delete a disabled tenant's rows, and its users without another membership.

        Delete its objects before.

        Raises:
            ApiError: 404, 409 for locking out the last operator.
        """
        await self._keep_an_operator_outside(org_id)
        org = await self._locked(org_id)
        members = await MemberRepository(self._session, org_id).ids()
        await OrgRepository(self._session).delete(org)
        await UserRepository(self._session).delete_without_place(members)
        # A running preparation may have stored objects while the others were deleted.
        await DoomedObjects(self._session).doom([org_prefix(org.id)])
        await self._log(org.id, "org.deleted", org.id, {"name": org.name})
        return org

    async def find_user(self, email: str) -> User:
        """Return the user with an e-mail address, in any tenant.

        Raises:
            ApiError: 404.
        """
        if (user := await UserRepository(self._session).by_email(email)) is None:
            raise not_found("user", email)
        return user

    async def members(self, org_id: str) -> Sequence[Member]:
        """Return the members of a tenant, up to :data:`MOST`."""
        return await MemberRepository(self._session, org_id).list(limit=MOST)

    async def scopes_of(self, org_id: str, user_id: str) -> frozenset[Scope]:
        """Return a member's scopes.

        Raises:
            ApiError: 404.
        """
        user, role = await self.member(org_id, user_id)
        return scopes_of(role, operator=user.operator)

    async def member(self, org_id: str, user_id: str) -> Member:
        """Return a member of a tenant.

        Raises:
            ApiError: 404, also for users of other tenants.
        """
        if (member := await MemberRepository(self._session, org_id).get(user_id)) is None:
            raise not_found("user", user_id)
        return member

    async def invite(self, org_id: str, email: str, *, role: str) -> MadeInvitation:
        """Invite an address. This does not reveal whether the address has an account elsewhere.

        Raises:
            ApiError: 400, 403 for a role with more rights than the caller, 404, 409 for too many open
                invitations.
            Conflict: The tenant has a member with that address.
        """
        address = _checked(texts.email_address, email, "email")
        await self._locked(org_id)
        (await self._authority()).check_role(role)
        if await MemberRepository(self._session, org_id).by_email(address) is not None:
            raise Conflict(f"'{address}' is already a member.", param="email")
        invitations = InvitationRepository(self._session, org_id)
        if await invitations.count() >= MOST_INVITATIONS:
            message = f"{MOST_INVITATIONS} invitations are open already: revoke some, or let some expire."
            raise ApiError(409, message, code="too_many_invitations")
        token = make_invitation_token()
        invitation = await invitations.create(
            address,
            role=role,
            token_hash=hash_token(token),
            made_by=self._origin.actor,
            expires_at=now() + INVITATION_TIME,
        )
        await self._log(org_id, "invitation.created", invitation.id, {"role": role})
        return MadeInvitation(invitation, token)

    async def revoke_invitation(self, org_id: str, invitation_id: str) -> Invitation:
        """Revoke an invitation; an accepted one is unaffected.

        Raises:
            ApiError: 404.
        """
        await self._locked(org_id)
        invitations = InvitationRepository(self._session, org_id)
        if (invitation := await invitations.get(invitation_id)) is None:
            raise not_found("invitation", invitation_id)
        await invitations.revoke(invitation)
        await self._log(org_id, "invitation.revoked", invitation.id, {})
        return invitation

    async def add_member(
        self, org_id: str, email: str, *, role: str, password_hash: str | None, name: str = ""
    ) -> Member:
        """Create a user as a member of a tenant. The operator vouches that the address is the user's.

        Args:
            org_id: ID of the tenant.
            email: An address without an account; existing users are invited instead.
            role: Role of the user.
            password_hash: Hash of the password, computed before the transaction; if ``None``, the user
                chooses a password with a reset token.
            name: Display name of the user.

        Raises:
            ApiError: 400, 403, 404.
            Conflict: A user with that address exists.
        """
        address = _checked(texts.email_address, email, "email")
        if name:
            name = _checked(texts.name, name, "name")
        await self._locked(org_id)
        authority = await self._authority()
        authority.check_operator()
        authority.check_role(role)
        users = UserRepository(self._session)
        if await users.by_email(address) is not None:
            raise Conflict(f"A user '{address}' already exists: invite them.", param="email")
        user = await users.create(address, password_hash=password_hash, name=name)
        await MemberRepository(self._session, org_id).add(user, role)
        await self._log(org_id, "member.added", user.id, {"role": role, "vouched": True})
        return Member(user, role)

    async def change_role(self, org_id: str, user_id: str, role: str) -> Member:
        """Change a member's role. Invitations that they issued in the old role are revoked.

        Raises:
            ApiError: 400, 403, 404, 409 for the last owner.
        """
        member, authority = await self._locked_member(org_id, user_id)
        authority.check_role(role)
        if role == member.role:
            return member
        if member.role == OWNER:
            await self._keep_an_owner(org_id, user_id)
        if member.role == OWNER or ROLES[member.role] - ROLES[role]:
            await self._withdraw_offers(org_id, user_id)
        await MemberRepository(self._session, org_id).set_role(user_id, role)
        await self._log(org_id, "member.changed", user_id, {"role": role})
        return Member(member.user, role)

    async def remove_member(self, org_id: str, user_id: str) -> None:
        """Remove a user from a tenant, and revoke their keys and sessions there.

        A user without another membership is deleted.

        Raises:
            ApiError: 403, 404, 409 for the last owner, or the last operator.
        """
        member, _ = await self._locked_member(org_id, user_id)
        if member.role == OWNER:
            await self._keep_an_owner(org_id, user_id)
        await self._withdraw_offers(org_id, user_id)
        await KeyRepository(self._session, org_id).revoke_user(user_id)
        await TokenRepository(self._session).revoke_user(user_id, org_id=org_id)
        await MemberRepository(self._session, org_id).remove(user_id)
        users = UserRepository(self._session)
        if not await users.orgs_of(user_id):
            await self._keep_an_operator(member.user)
            await users.delete(member.user)
        await self._log(org_id, "member.removed", user_id, {})

    async def set_disabled(self, user_id: str, *, disabled: bool) -> User:
        """Disable a user in all tenants, including their keys and sessions, or enable them again.

        Restricted to operators, since a user may belong to several tenants. Tenants remove members instead.

        Raises:
            ApiError: 403, 404, 409 for the last operator, or the last owner of a tenant.
        """
        user = await self._locked_user(user_id)
        if not disabled:
            await UserRepository(self._session).set_disabled(user, disabled=False)
            await self._log_everywhere(user_id, "user.enabled")
            return user
        await self._keep_an_operator(user)
        orgs = OrgRepository(self._session)
        places = await UserRepository(self._session).orgs_of(user_id)
        for place, _ in sorted(places, key=lambda entry: entry[0].id):
            await orgs.lock(place.id)
            member = await MemberRepository(self._session, place.id).get(user_id)
            if member is not None and member.role == OWNER:
                await self._keep_an_owner(place.id, user_id)
        keys = await keys_of_user(self._session, user_id)
        await revoke_invitations_of(self._session, [user_id, *keys])
        await UserRepository(self._session).set_disabled(user, disabled=True)
        await TokenRepository(self._session).revoke_user(user_id)
        await ResetRepository(self._session).forget(user_id)
        await self._log_everywhere(user_id, "user.disabled")
        return user

    async def reset_password(self, user_id: str) -> MadeReset:
        """Issue a token to reset a user's password. The old password works until the token is used.

        Raises:
            ApiError: 403, 404.
        """
        user = await self._locked_user(user_id)
        token, expires_at = make_reset_token(), now() + RESET_TIME
        await ResetRepository(self._session).create(
            user_id, token_hash=hash_token(token), expires_at=expires_at
        )
        await self._log_everywhere(user_id, "user.reset_made")
        return MadeReset(user, token, expires_at)

    async def create_owner(self, org_id: str, email: str, password_hash: str, *, operator: bool) -> User:
        """Create the first user of a server or a tenant.

        Raises:
            ApiError: 400 for an invalid address.
            Conflict: The address is taken.
        """
        users = UserRepository(self._session)
        address = _checked(texts.email_address, email, "email")
        user = await users.create(address, password_hash=password_hash, operator=operator)
        await MemberRepository(self._session, org_id).add(user, OWNER)
        told = {"role": OWNER, "operator": operator, "vouched": True}
        await self._log(org_id, "member.added", user.id, told)
        return user

    async def create_key(
        self,
        org_id: str,
        *,
        name: str,
        scopes: Collection[Scope] | None,
        user_id: str | None = None,
        expires_at: datetime | None = None,
    ) -> MadeKey:
        """Create an API key, with at most the rights of its creator.

        Args:
            org_id: ID of the tenant.
            name: Display name of the key.
            scopes: Scopes of the key; by default those of :data:`EVERYDAY` that the creator has.
            user_id: ID of the user that it belongs to; it is revoked when the user leaves.
            expires_at: Time of expiry, if any.

        Raises:
            ApiError: 400, 403 for scopes that the creator lacks, 404.
        """
        name = _checked(texts.name, name, "name")
        await self._locked(org_id)
        authority = await self._authority()
        wanted = EVERYDAY & authority.scopes if scopes is None else frozenset(scopes)
        authority.check_scopes(wanted, "scopes")
        made = make_key()
        key = await KeyRepository(self._session, org_id).create(
            name=name,
            prefix=made.prefix,
            secret_hash=made.secret_hash,
            scopes=sorted(wanted),
            user_id=user_id,
            expires_at=expires_at,
        )
        await self._log(org_id, "key.created", key.id, {"name": name, "scopes": key.scopes})
        return MadeKey(key, made.text)

    async def keys(self, org_id: str) -> Sequence[ApiKey]:
        """Return the keys of a tenant, up to :data:`MOST`."""
        return await KeyRepository(self._session, org_id).list(limit=MOST)

    async def key(self, org_id: str, key_id: str) -> ApiKey:
        """Return a key of a tenant.

        Raises:
            ApiError: 404, also for keys of other tenants.
        """
        if (key := await KeyRepository(self._session, org_id).get(key_id)) is None:
            raise not_found("key", key_id)
        return key

    async def revoke_key(self, org_id: str, key_id: str) -> ApiKey:
        """Revoke a key, and the invitations that were made with it.

        Raises:
            ApiError: 404.
        """
        await self._locked(org_id)
        key = await self.key(org_id, key_id)
        await KeyRepository(self._session, org_id).revoke(key)
        await InvitationRepository(self._session, org_id).revoke_made_by([key.id])
        await self._log(org_id, "key.revoked", key.id, {"name": key.name})
        return key

    async def _locked(self, org_id: str) -> Org:
        if (org := await OrgRepository(self._session).lock(org_id)) is None:
            raise not_found("organisation", org_id)
        return org

    async def _locked_member(self, org_id: str, user_id: str) -> tuple[Member, Authority]:
        """Lock a tenant's member that the caller may change; return it and the caller's authority."""
        await UserRepository(self._session).lock(user_id)
        await self._locked(org_id)
        member = await self.member(org_id, user_id)
        authority = await self._authority()
        authority.check_member(member)
        return member, authority

    async def _locked_user(self, user_id: str) -> User:
        """Lock and return any user; the caller must be an operator."""
        (await self._authority()).check_operator()
        if (user := await UserRepository(self._session).lock(user_id)) is None:
            raise not_found("user", user_id)
        return user

    async def _authority(self) -> Authority:
        return await authority_of(self._session, self._by)

    async def _keep_an_owner(self, org_id: str, user_id: str) -> None:
        if not await MemberRepository(self._session, org_id).others(OWNER, user_id):
            message = f"The organisation '{org_id}' needs an owner who can log in; add another first."
            raise ApiError(409, message, code="last_owner")

    async def _keep_an_operator(self, user: User) -> None:
        if user.operator and not await UserRepository(self._session).operators(but=user.id):
            raise _last_operator()

    async def _keep_an_operator_outside(self, org_id: str) -> None:
        users = UserRepository(self._session)
        await users.lock_operators()
        inside = await MemberRepository(self._session, org_id).operators()
        if inside and not await users.operators(org_id=org_id):
            raise _last_operator()

    async def _withdraw_offers(self, org_id: str, user_id: str) -> None:
        keys = await KeyRepository(self._session, org_id).ids_of(user_id)
        await InvitationRepository(self._session, org_id).revoke_made_by([user_id, *keys])

    async def _log_everywhere(self, user_id: str, action: str) -> None:
        """Log an action in each tenant of a user."""
        places = await UserRepository(self._session).orgs_of(user_id)
        for org_id in [place.id for place, _ in places] or [None]:
            await self._log(org_id, action, user_id, {})

    async def _log(self, org_id: str | None, action: str, target: str, details: Mapping[str, Any]) -> None:
        await self._origin.log(self._session, org_id, action, target=target, details=details)

    def _plan(self, plan: str | None) -> str:
        wanted = plan or self._quota.default_plan
        if wanted not in self._quota.plans:
            known = ", ".join(self._quota.plans)
            raise invalid(f"There is no plan '{wanted}'; the plans are {known}.", "plan", "plan_not_found")
        return wanted


def _last_operator() -> ApiError:
    return ApiError(409, "The server needs at least one operator who can log in.", code="last_operator")


def _checked(check: Callable[[str], str], text: str, param: str) -> str:
    try:
        return check(text)
    except ValueError as error:
        raise invalid(f"Invalid value for '{param}': {error}.", param) from error
