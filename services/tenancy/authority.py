"""The rights that a caller may grant and revoke, checked in the transaction of the change."""

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
    """The rights that a caller may grant and revoke.

    Attributes:
        scopes: The caller's own scopes, which are the only ones it may grant.
        owner: Whether the caller is a logged-in owner; keys are not.
    """

    scopes: frozenset[Scope]
    owner: bool

    @property
    def operator(self) -> bool:
        """Whether the caller is an operator of the server."""
        return Scope.OPERATOR in self.scopes

    def check_operator(self) -> None:
        """Check that the caller is an operator.

        Raises:
            ApiError: 403.
        """
        if not self.operator:
            raise ApiError(403, "This is restricted to the operator.", code="insufficient_scope")

    def check_role(self, role: str) -> None:
        """Check that the caller may grant a role.

        Raises:
            ApiError: 400 for an unknown role, 403 for a role with more rights than the caller.
        """
        if role not in ROLES:
            raise invalid(
                f"There is no role '{role}'; the roles are {', '.join(ROLES)}.", "role", "role_not_found"
            )
        self._check_owner(role)
        self.check_scopes(ROLES[role], "role")

    def check_scopes(self, scopes: frozenset[Scope], param: str) -> None:
        """Check that the caller may grant scopes.

        Args:
            scopes: The scopes to grant.
            param: Name of the request's field, for the error.

        Raises:
            ApiError: 403 for scopes that the caller lacks.
        """
        if beyond := sorted(scopes - self.scopes):
            message = f"You cannot grant permissions that you lack: {', '.join(beyond)}."
            raise ApiError(403, message, param=param, code="insufficient_scope")

    def check_member(self, member: Member) -> None:
        """Check that the caller may change a member.

        Only operators may change operators; only owners and operators may change owners.

        Raises:
            ApiError: 403.
        """
        if member.user.operator and not self.operator:
            message = "Only an operator can change or remove an operator."
            raise ApiError(403, message, code="insufficient_role")
        self._check_owner(member.role)

    def _check_owner(self, role: str) -> None:
        if role == OWNER and not (self.owner or self.operator):
            raise ApiError(403, "Only an owner can add, change or remove owners.", code="insufficient_role")


async def authority_of(session: AsyncSession, principal: Principal) -> Authority:
    """Return a principal's current authority, from the database: it may have lost rights meanwhile.

    Args:
        session: A transaction in which the principal's tenant is locked.
        principal: The caller; without a user and a key, it is a local caller on the server's machine.
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
