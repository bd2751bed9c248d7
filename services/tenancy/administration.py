"""Changing tenants, users and keys: what the admin routes and the command line share.

Every change is in the audit log, in the same transaction.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from services.config import QuotaConfig
from services.errors import ApiError, invalid
from services.tenancy.keys import make_key
from services.tenancy.origin import Origin
from services.tenancy.passwords import SHORTEST, Passwords
from services.tenancy.scopes import EVERYDAY, ROLES, Scope, scopes_of
from storage.objects.keys import org_prefix
from storage.repositories.audit import AuditRepository
from storage.repositories.doomed import DoomedObjects
from storage.repositories.keys import KeyRepository
from storage.repositories.orgs import LOCAL_ORG_ID, OrgRepository
from storage.repositories.tokens import TokenRepository
from storage.repositories.users import Member, MemberRepository, UserRepository
from storage.tables import ApiKey, Org, User

OWNER: Final = "owner"

MOST: Final = 10_000
"""Entries of a list for people."""


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key and its text, which is shown once."""

    key: ApiKey
    text: str


class Administration:
    """Changes in one transaction.

    Args:
        session: A transaction that writes.
        quota: The plans.
        passwords: Makes hashes.
        origin: Who does it, for the audit log.
    """

    def __init__(
        self, session: AsyncSession, quota: QuotaConfig, passwords: Passwords, origin: Origin
    ) -> None:
        self._session = session
        self._quota = quota
        self._passwords = passwords
        self._origin = origin

    async def org(self, org_id: str) -> Org:
        """A tenant.

        Raises:
            ApiError: 404.
        """
        if (org := await OrgRepository(self._session).get(org_id)) is None:
            raise not_found("organisation", org_id)
        return org

    async def find_org(self, id_or_name: str) -> Org:
        """A tenant by its id or name.

        Raises:
            ApiError: 404.
        """
        if (org := await OrgRepository(self._session).find(id_or_name)) is None:
            raise not_found("organisation", id_or_name)
        return org

    async def orgs(self) -> Sequence[Org]:
        """All tenants, up to :data:`MOST`."""
        return await OrgRepository(self._session).list(limit=MOST)

    async def create_org(self, name: str, *, plan: str | None, limits: Mapping[str, Any]) -> Org:
        """Make a tenant.

        Raises:
            ApiError: 400, there is no such plan.
            Conflict: The name is taken.
        """
        org = await OrgRepository(self._session).create(name, plan=self._plan(plan), limits=limits)
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
        """Change what is given.

        Raises:
            ApiError: 400, 404.
            Conflict: The name is taken.
        """
        org = await self.org(org_id)
        changes = {
            "name": name,
            "plan": None if plan is None else self._plan(plan),
            "limits": limits,
            "retention": retention,
            "disabled": disabled,
        }
        await OrgRepository(self._session).update(
            org, name=name, plan=plan, limits=limits, retention=retention, disabled=disabled
        )
        told = {field: value for field, value in changes.items() if value is not None}
        await self._log(org.id, "org.changed", org.id, told)
        return org

    async def lock_for_good(self, org_id: str) -> Org:
        """Lock a tenant that is to be removed, so that nothing is added to it meanwhile.

        Raises:
            ApiError: 400 for the local tenant, 404.
        """
        if org_id == LOCAL_ORG_ID:
            raise invalid("The local organisation stays.", "org_id")
        return await self.update_org(org_id, disabled=True)

    async def delete_org(self, org_id: str) -> Org:
        """Remove a locked tenant's rows; its objects were removed before.

        Raises:
            ApiError: 404.
        """
        org = await self.org(org_id)
        await OrgRepository(self._session).delete(org)
        # What was put while the others were removed: a preparation may have ended just then.
        await DoomedObjects(self._session).doom([org_prefix(org.id)])
        await self._log(org.id, "org.deleted", org.id, {"name": org.name})
        return org

    async def find_user(self, email: str) -> User:
        """A user by their address, whatever tenant they belong to.

        Raises:
            ApiError: 404.
        """
        if (user := await UserRepository(self._session).by_email(email)) is None:
            raise not_found("user", email)
        return user

    async def members(self, org_id: str) -> Sequence[Member]:
        """The members of a tenant, up to :data:`MOST`."""
        return await MemberRepository(self._session, org_id).list(limit=MOST)

    async def scopes_of(self, org_id: str, user_id: str) -> frozenset[Scope]:
        """What a member may do.

        Raises:
            ApiError: 404.
        """
        user, role = await self.member(org_id, user_id)
        return scopes_of(role, operator=user.operator)

    async def member(self, org_id: str, user_id: str) -> Member:
        """A member of a tenant.

        Raises:
            ApiError: 404, whether the user is another tenant's or nobody's.
        """
        if (member := await MemberRepository(self._session, org_id).get(user_id)) is None:
            raise not_found("user", user_id)
        return member

    async def add_member(
        self,
        org_id: str,
        email: str,
        *,
        role: str,
        password: str | None,
        name: str = "",
        by_owner: bool,
        by_operator: bool,
    ) -> Member:
        """Give a user a place in a tenant; the user is made if there is none of that address.

        A user who is there already, here or in another tenant, can be given a place by the operator only:
        a tenant's admin would learn of another tenant's user, and could change their password.

        Raises:
            ApiError: 400, 403 for making an owner without being one.
            Conflict: There is such a user.
        """
        _check_role(role, by_owner=by_owner)
        users = UserRepository(self._session)
        user = await users.by_email(email) if by_operator else None
        if user is None:
            password_hash = None if password is None else await self._hash(password)
            user = await users.create(email, password_hash=password_hash, name=name)
        await MemberRepository(self._session, org_id).add(user, role)
        await self._log(org_id, "member.added", user.id, {"role": role})
        return Member(user, role)

    async def change_member(
        self,
        org_id: str,
        user_id: str,
        *,
        role: str | None,
        password: str | None,
        by_owner: bool,
        by_operator: bool,
    ) -> Member:
        """Change a member's role or password; a new password ends their sessions.

        Raises:
            ApiError: 400, 403 for an owner's without being one, or for the password of somebody who is
                more than this tenant's, 404, 409 for the last owner.
        """
        member = await self.member(org_id, user_id)
        _check_role(member.role, by_owner=by_owner)
        members = MemberRepository(self._session, org_id)
        if role is not None and role != member.role:
            _check_role(role, by_owner=by_owner)
            await self._keep_an_owner(members, member)
            await members.set_role(user_id, role)
            await self._log(org_id, "member.changed", user_id, {"role": role})
            member = Member(member.user, role)
        if password is not None:
            places = await UserRepository(self._session).orgs_of(user_id)
            if not by_operator and (member.user.operator or len(places) > 1):
                message = "The user belongs to others too: only the operator sets their password."
                raise ApiError(403, message, param="password", code="insufficient_role")
            await self.set_password(member.user, password, org_id=org_id)
        return member

    async def remove_member(self, org_id: str, user_id: str, *, by_owner: bool) -> None:
        """Take a user's place in a tenant away, and with it their keys there; without any place they go.

        Raises:
            ApiError: 403 for an owner without being one, 404, 409 for the last owner.
        """
        member = await self.member(org_id, user_id)
        _check_role(member.role, by_owner=by_owner)
        members = MemberRepository(self._session, org_id)
        await self._keep_an_owner(members, member)
        await members.remove(user_id)
        users = UserRepository(self._session)
        if not await users.orgs_of(user_id):
            await users.delete(member.user)
        await self._log(org_id, "member.removed", user_id, {})

    async def create_owner(self, org_id: str, email: str, password: str, *, operator: bool) -> User:
        """Make the first user of a server or a tenant.

        Raises:
            ApiError: 400, the password is too short.
            Conflict: The address is taken.
        """
        users = UserRepository(self._session)
        user = await users.create(email, password_hash=await self._hash(password), operator=operator)
        await MemberRepository(self._session, org_id).add(user, OWNER)
        await self._log(org_id, "member.added", user.id, {"role": OWNER, "operator": operator})
        return user

    async def set_password(self, user: User, password: str, *, org_id: str | None) -> None:
        """Change a user's password and end their sessions.

        Raises:
            ApiError: 400, it is too short.
        """
        await UserRepository(self._session).set_password(user, await self._hash(password))
        await TokenRepository(self._session).revoke_user(user.id)
        await self._log(org_id, "user.password_changed", user.id, {})

    async def create_key(
        self,
        org_id: str,
        *,
        name: str,
        scopes: Collection[Scope] | None,
        allowed: Collection[Scope],
        user_id: str | None = None,
        expires_at: datetime | None = None,
    ) -> MadeKey:
        """Make a key. It does no more than who makes it.

        Args:
            org_id: The tenant.
            name: For people.
            scopes: What it may do; by default what applications do every day.
            allowed: What its maker may do.
            user_id: The user it belongs to, and goes with.
            expires_at: When it ends.

        Raises:
            ApiError: 403, it would do more than its maker.
        """
        wanted = frozenset(EVERYDAY & set(allowed) if scopes is None else scopes)
        if beyond := sorted(wanted - set(allowed)):
            raise ApiError(
                403,
                f"A key cannot do what its maker may not: {', '.join(beyond)}.",
                param="scopes",
                code="insufficient_scope",
            )
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
        """The keys of a tenant, up to :data:`MOST`."""
        return await KeyRepository(self._session, org_id).list(limit=MOST)

    async def key(self, org_id: str, key_id: str) -> ApiKey:
        """A key of a tenant.

        Raises:
            ApiError: 404, whether the key is another tenant's or nobody's.
        """
        if (key := await KeyRepository(self._session, org_id).get(key_id)) is None:
            raise not_found("key", key_id)
        return key

    async def revoke_key(self, org_id: str, key_id: str) -> ApiKey:
        """Make a key useless.

        Raises:
            ApiError: 404.
        """
        key = await self.key(org_id, key_id)
        await KeyRepository(self._session, org_id).revoke(key)
        await self._log(org_id, "key.revoked", key.id, {"name": key.name})
        return key

    async def _keep_an_owner(self, members: MemberRepository, member: Member) -> None:
        if member.role == OWNER and await members.count(OWNER) == 1:
            raise ApiError(409, "An organisation keeps an owner; make another one first.", code="last_owner")

    async def _hash(self, password: str) -> str:
        if len(password) < SHORTEST:
            raise invalid(f"A password has at least {SHORTEST} characters.", "password", "password_too_short")
        return await self._passwords.hash(password)

    async def _log(self, org_id: str | None, action: str, target: str, details: Mapping[str, Any]) -> None:
        await AuditRepository(self._session, org_id).add(
            action,
            actor=self._origin.actor,
            target=target,
            address=self._origin.address,
            request_id=self._origin.request_id,
            details=details,
        )

    def _plan(self, plan: str | None) -> str:
        wanted = plan or self._quota.default_plan
        if wanted not in self._quota.plans:
            known = ", ".join(self._quota.plans)
            raise invalid(f"There is no plan '{wanted}'; there is {known}.", "plan", "plan_not_found")
        return wanted


def not_found(what: str, given: str) -> ApiError:
    """A 404 for what is not there, or is another tenant's: nobody learns which."""
    return ApiError(404, f"There is no {what} '{given}'.", code=f"{what}_not_found")


def _check_role(role: str, *, by_owner: bool) -> None:
    if role not in ROLES:
        raise invalid(f"There is no role '{role}'; there is {', '.join(ROLES)}.", "role", "role_not_found")
    if role == OWNER and not by_owner:
        raise ApiError(403, "Only an owner makes, changes or removes owners.", code="insufficient_role")
