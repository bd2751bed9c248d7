"""Users, and their memberships in tenants."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import delete, exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from storage.columns import address_key, now
from storage.errors import Conflict
from storage.repositories.tenant import TenantRepository
from storage.tables import Membership, Org, User


class Member(NamedTuple):
    """A user and their role in a tenant."""

    user: User
    role: str


class UserRepository:
    """The users of all tenants. For logging in and for the operator.

    Args:
        session: A transaction.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(
        self, email: str, *, password_hash: str | None, name: str = "", operator: bool = False
    ) -> User:
        """Create a user.

        Raises:
            Conflict: The address is taken.
        """
        user = User(email=address_key(email), password_hash=password_hash, name=name, operator=operator)
        self._session.add(user)
        try:
            await self._session.flush()
        except IntegrityError as error:
            raise Conflict(f"A user '{email}' already exists.", param="email") from error
        return user

    async def get(self, user_id: str) -> User | None:
        """Return a user by ID."""
        return await self._session.get(User, user_id)

    async def by_email(self, email: str) -> User | None:
        """Return a user by e-mail address, case-insensitively."""
        return await self._session.scalar(select(User).where(User.email == address_key(email)))

    async def lock(self, user_id: str) -> User | None:
        """Return a user by ID, locked until the transaction ends.

        For an operator, all operators are locked, so that two of them cannot concurrently disable each
        other. Lock users before tenants.
        """
        user = await self.get(user_id)
        if user is None:
            return None
        which = User.operator if user.operator else User.id == user_id
        query = select(User).where(which).order_by(User.id).with_for_update(key_share=True)
        # With the values after locking, not those that this session may have read before.
        locked = await self._session.scalars(query.execution_options(populate_existing=True))
        return next((found for found in locked if found.id == user_id), None)

    async def lock_operators(self) -> None:
        """Lock all operators, in the order of their IDs."""
        query = select(User.id).where(User.operator).order_by(User.id)
        await self._session.execute(query.with_for_update(key_share=True))

    async def operators(self, *, but: str | None = None, org_id: str | None = None) -> int:
        """Return the number of operators that can log in, without user ``but`` and tenant ``org_id``."""
        query = (
            select(func.count(func.distinct(User.id)))
            .select_from(User)
            .join(Membership, Membership.user_id == User.id)
            .join(Org, Org.id == Membership.org_id)
            .where(User.operator, User.disabled_at.is_(None), Org.disabled_at.is_(None))
        )
        if but is not None:
            query = query.where(User.id != but)
        if org_id is not None:
            query = query.where(Org.id != org_id)
        return await self._session.scalar(query) or 0

    async def orgs_of(self, user_id: str) -> Sequence[tuple[Org, str]]:
        """Return a user's tenants, oldest membership first, and the role in each."""
        query = (
            select(Org, Membership.role)
            .join(Membership, Membership.org_id == Org.id)
            .where(Membership.user_id == user_id)
            .order_by(Membership.created_at, Org.id)
        )
        return [(org, role) for org, role in (await self._session.execute(query))]

    async def set_password(self, user: User, password_hash: str) -> None:
        """Set a user's password hash."""
        user.password_hash = password_hash
        await self._session.flush()

    async def set_disabled(self, user: User, *, disabled: bool) -> None:
        """Disable or enable a user."""
        user.disabled_at = (user.disabled_at or now()) if disabled else None
        await self._session.flush()

    async def delete(self, user: User) -> None:
        """Delete a user with all memberships."""
        await self._session.execute(delete(User).where(User.id == user.id))

    async def delete_without_place(self, user_ids: Collection[str]) -> None:
        """Delete those of the users that are not members of any tenant."""
        placed = exists().where(Membership.user_id == User.id)
        await self._session.execute(delete(User).where(User.id.in_(user_ids), ~placed))


class MemberRepository(TenantRepository):
    """The members of one tenant."""

    async def get(self, user_id: str) -> Member | None:
        """Return a member by user ID."""
        query = self._query().where(User.id == user_id)
        row = (await self._session.execute(query)).first()
        return None if row is None else Member(*row)

    async def by_email(self, email: str) -> Member | None:
        """Return a member by e-mail address, case-insensitively."""
        row = (await self._session.execute(self._query().where(User.email == address_key(email)))).first()
        return None if row is None else Member(*row)

    async def list(self, *, after: str | None = None, limit: int = 100) -> Sequence[Member]:
        """Return members ordered by user ID, starting after the ID ``after``."""
        query = self._query().order_by(User.id).limit(limit)
        if after is not None:
            query = query.where(User.id > after)
        return [Member(*row) for row in (await self._session.execute(query))]

    async def add(self, user: User, role: str) -> None:
        """Make a user a member.

        Raises:
            Conflict: The user is a member already.
        """
        email = user.email
        self._session.add(Membership(org_id=self._org_id, user_id=user.id, role=role))
        try:
            await self._session.flush()
        except IntegrityError as error:
            raise Conflict(f"'{email}' is already a member.", param="email") from error

    async def set_role(self, user_id: str, role: str) -> None:
        """Change a member's role; does nothing if the user is not a member."""
        membership = await self._session.get(Membership, (self._org_id, user_id))
        if membership is not None:
            membership.role = role
            await self._session.flush()

    async def remove(self, user_id: str) -> None:
        """Remove a member."""
        await self._session.execute(
            delete(Membership).where(Membership.org_id == self._org_id, Membership.user_id == user_id)
        )

    async def ids(self) -> Sequence[str]:
        """Return the IDs of all members."""
        query = select(Membership.user_id).where(Membership.org_id == self._org_id)
        return (await self._session.scalars(query)).all()

    async def operators(self) -> int:
        """Return the number of members that are operators."""
        return (
            await self._session.scalar(
                select(func.count())
                .select_from(Membership)
                .join(User, User.id == Membership.user_id)
                .where(Membership.org_id == self._org_id, User.operator)
            )
            or 0
        )

    async def others(self, role: str, user_id: str) -> int:
        """Return the number of other members that have a role and are not disabled."""
        query = (
            select(func.count())
            .select_from(Membership)
            .join(User, User.id == Membership.user_id)
            .where(
                Membership.org_id == self._org_id,
                Membership.role == role,
                Membership.user_id != user_id,
                User.disabled_at.is_(None),
            )
        )
        return await self._session.scalar(query) or 0

    def _query(self):  # noqa: ANN202 - a statement's type is longer than the statement
        return (
            select(User, Membership.role)
            .join(Membership, Membership.user_id == User.id)
            .where(Membership.org_id == self._org_id)
        )
