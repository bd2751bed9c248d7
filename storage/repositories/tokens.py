"""Refresh tokens."""

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.columns import now
from storage.tables import RefreshToken


class TokenRepository:
    """The refresh tokens of all users. For logging in, refreshing and logging out.

    Args:
        session: A transaction.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(
        self, *, family: str, org_id: str, user_id: str, token_hash: str, expires_at: datetime
    ) -> RefreshToken:
        """Add a token to a family."""
        token = RefreshToken(
            family=family, org_id=org_id, user_id=user_id, token_hash=token_hash, expires_at=expires_at
        )
        self._session.add(token)
        await self._session.flush()
        return token

    async def find(self, token_hash: str) -> RefreshToken | None:
        """Return a token by its hash."""
        return await self._session.scalar(select(RefreshToken).where(RefreshToken.token_hash == token_hash))

    async def use(self, token: RefreshToken) -> bool:
        """Mark a token as used; false if it was used or revoked before. Of concurrent calls, one succeeds."""
        statement = (
            update(RefreshToken)
            .where(
                RefreshToken.id == token.id, RefreshToken.used_at.is_(None), RefreshToken.revoked_at.is_(None)
            )
            .values(used_at=now())
            .returning(RefreshToken.id)
        )
        return await self._session.scalar(statement) is not None

    async def revoke_family(self, family: str) -> None:
        """Revoke all tokens that came from one login."""
        await self._session.execute(
            update(RefreshToken)
            .where(RefreshToken.family == family, RefreshToken.revoked_at.is_(None))
            .values(revoked_at=now())
        )

    async def revoke_user(self, user_id: str, *, org_id: str | None = None, keep: str | None = None) -> None:
        """Revoke a user's tokens, for one tenant or all, except those of the family ``keep``."""
        statement = update(RefreshToken).where(
            RefreshToken.user_id == user_id, RefreshToken.revoked_at.is_(None)
        )
        if org_id is not None:
            statement = statement.where(RefreshToken.org_id == org_id)
        if keep is not None:
            statement = statement.where(RefreshToken.family != keep)
        await self._session.execute(statement.values(revoked_at=now()))

    async def family_is_good(self, family: str) -> bool:
        """Whether a family has a token that is not revoked."""
        query = (
            select(RefreshToken.id)
            .where(RefreshToken.family == family, RefreshToken.revoked_at.is_(None))
            .limit(1)
        )
        return await self._session.scalar(query) is not None

    async def sweep(self, before: datetime) -> int:
        """Delete tokens that expired before a time; return their number."""
        gone = await self._session.scalars(
            delete(RefreshToken).where(RefreshToken.expires_at < before).returning(RefreshToken.id)
        )
        return len(gone.all())
