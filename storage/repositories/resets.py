"""One-time tokens for password resets."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.columns import now
from storage.tables import PasswordReset


class ResetRepository:
    """The password resets of all users. For the operator, and for users with a token.

    Args:
        session: A transaction.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(self, user_id: str, *, token_hash: str, expires_at: datetime) -> PasswordReset:
        """Add a password reset, which replaces an older one of the user."""
        await self.forget(user_id)
        reset = PasswordReset(user_id=user_id, token_hash=token_hash, expires_at=expires_at)
        self._session.add(reset)
        await self._session.flush()
        return reset

    async def find(self, token_hash: str) -> str | None:
        """Return the ID of the user of a token; ``None`` if it is invalid or has expired."""
        return await self._session.scalar(
            select(PasswordReset.user_id).where(
                PasswordReset.token_hash == token_hash, PasswordReset.expires_at > now()
            )
        )

    async def use(self, token_hash: str) -> str | None:
        """Consume a token; return the user ID, or ``None`` if it is invalid or used, even concurrently."""
        return await self._session.scalar(
            delete(PasswordReset)
            .where(PasswordReset.token_hash == token_hash, PasswordReset.expires_at > now())
            .returning(PasswordReset.user_id)
        )

    async def forget(self, user_id: str) -> None:
        """Delete a user's token."""
        await self._session.execute(delete(PasswordReset).where(PasswordReset.user_id == user_id))

    async def sweep(self, before: datetime) -> None:
        """Delete tokens that expired before a time."""
        await self._session.execute(delete(PasswordReset).where(PasswordReset.expires_at < before))
