"""The rights that a caller can grant and revoke, checked in the transaction that does so."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import ApiError, invalid
from services.tenancy.principal import Principal
from services.tenancy.scopes import OWNER, ROLES, Scope, scopes_of
from storage.columns import now
from storage.repositories.keys import KeyRepository
from storage.repositories.users import Member, MemberRepository
from storage.tables import ApiKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The rights that a caller can grant and revoke.

    Attributes:
        scopes: Their own; they grant no others.
        owner: Whether they are a logged-in owner; keys are not.
    """

    scopes: frozenset[Scope]
    owner: bool

    @property
    def operator(self) -> bool:
        """Whether they run the server."""
        return Scope.OPERATOR in self.scopes

    def check_operator(self) -> None:
        """Refuse anyone but the operator.

        Raises:
            ApiError: 403.
        """
        if not self.operator:
            raise ApiError(403, "This is restricted to the operator.", code="insufficient_scope")

    def check_role(self, role: str) -> None:
        """Refuse to grant a role they may not.

        Raises:
            ApiError: 400 for an unknown role, 403 for a role with more rights than theirs.
        """
        if role not in ROLES:
            raise invalid(
                f"There is no role '{role}'; the roles are {', '.join(ROLES)}.", "role", "role_not_found"
            )
        self._check_owner(role)
        self.check_scopes(ROLES[role], "role")

    def check_scopes(self, scopes: frozenset[Scope], param: str) -> None:
        """Refuse to grant scopes they lack.

        Raises:
            ApiError: 403 for more than they have.
        """
        if beyond := sorted(scopes - self.scopes):
            message = f"You cannot grant permissions that you lack: {', '.join(beyond)}."
            raise ApiError(403, message, param=param, code="insufficient_scope")

    def check_member(self, member: Member) -> None:
        """Refuse changes to a member that they may not make.

        Raises:
            ApiError: 403 for an operator, unless they are one; for an owner, unless they are one.
        """
        if member.user.operator and not self.operator:
            message = "Only an operator can change or remove an operator."
            raise ApiError(403, message, code="insufficient_role")
        self._check_owner(member.role)

    def _check_owner(self, role: str) -> None:
        if role == OWNER and not (self.owner or self.operator):
            raise ApiError(403, "Only an owner can add, change or remove owners.", code="insufficient_role")


async def authority_of(session: AsyncSession, principal: Principal) -> Authority:
    """A principal's current authority, from the database: it may have lost rights meanwhile.

    Args:
        session: A transaction, in which the principal's tenant is locked.
        principal: The caller; one without a user and a key works on the machine itself.
    """
    if principal.key_id is None and principal.user_id is None:
        return Authority(scopes=principal.scopes, owner=True)
    scopes, owner = principal.scopes, principal.key_id is None
    if principal.key_id is not None:
        key = await KeyRepository(session, principal.org_id).get(principal.key_id)
        if key is None or _has_ended(key):
            return Authority(scopes=frozenset(), owner=False)
    if principal.user_id is not None:
        member = await MemberRepository(session, principal.org_id).get(principal.user_id)
        if member is None or member.user.disabled_at is not None:
            return Authority(scopes=frozenset(), owner=False)
        scopes &= scopes_of(member.role, operator=member.user.operator)
        owner = owner and member.role == OWNER
    return Authority(scopes=scopes, owner=owner)


def _has_ended(key: ApiKey) -> bool:
    return key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now())
