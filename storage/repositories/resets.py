"""One-time tokens by which users choose a new password."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.columns import now
from storage.tables import PasswordReset


class ResetRepository:
    """The resets of all users: for the operator, and for whoever has a token.

    Args:
        session: A transaction.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(self, user_id: str, *, token_hash: str, expires_at: datetime) -> PasswordReset:
        """Keep a new one, in the place of an older one of the user."""
        await self.forget(user_id)
        reset = PasswordReset(user_id=user_id, token_hash=token_hash, expires_at=expires_at)
        self._session.add(reset)
        await self._session.flush()
        return reset

    async def find(self, token_hash: str) -> str | None:
        """The user whose password a token may change, by id."""
        return await self._session.scalar(
            select(PasswordReset.user_id).where(
                PasswordReset.token_hash == token_hash, PasswordReset.expires_at > now()
            )
        )

    async def use(self, token_hash: str) -> str | None:
        """Use a token up; gives the user's id. ``None`` if it was used before, however close together."""
        return await self._session.scalar(
            delete(PasswordReset)
            .where(PasswordReset.token_hash == token_hash, PasswordReset.expires_at > now())
            .returning(PasswordReset.user_id)
        )

    async def forget(self, user_id: str) -> None:
        """Make a user's token useless."""
        await self._session.execute(delete(PasswordReset).where(PasswordReset.user_id == user_id))

    async def sweep(self, before: datetime) -> None:
        """Remove what expired before a time."""
        await self._session.execute(delete(PasswordReset).where(PasswordReset.expires_at < before))
