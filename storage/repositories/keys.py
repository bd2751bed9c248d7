"""API keys."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.columns import now
from storage.repositories.tenant import TenantRepository, page
from storage.tables import ApiKey


class KeyRepository(TenantRepository):
    """The keys of one tenant."""

    async def create(
        self,
        *,
        name: str,
        prefix: str,
        secret_hash: str,
        scopes: Sequence[str],
        user_id: str | None = None,
        expires_at: datetime | None = None,
    ) -> ApiKey:
        """Keep a new key; its secret stays with whoever made it."""
        return await self._keep(
            ApiKey(
                org_id=self._org_id,
                user_id=user_id,
                name=name,
                prefix=prefix,
                secret_hash=secret_hash,
                scopes=list(scopes),
                expires_at=expires_at,
            )
        )

    async def get(self, key_id: str) -> ApiKey | None:
        """The key of that id."""
        return await self._get(ApiKey, key_id)

    async def list(self, *, after: str | None = None, limit: int = 100) -> Sequence[ApiKey]:
        """Keys in the order of their ids, those after ``after``; revoked ones too."""
        return await page(self._session, ApiKey, self._own(ApiKey), after=after, limit=limit)

    async def ids_of(self, user_id: str) -> Sequence[str]:
        """The ids of a user's keys."""
        query = select(ApiKey.id).where(ApiKey.org_id == self._org_id, ApiKey.user_id == user_id)
        return (await self._session.scalars(query)).all()

    async def revoke_user(self, user_id: str) -> None:
        """Make all of a user's keys useless from now on."""
        await self._session.execute(
            update(ApiKey)
            .where(ApiKey.org_id == self._org_id, ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
            .values(revoked_at=now())
        )

    async def revoke(self, key: ApiKey) -> None:
        """Make a key useless from now on."""
        key.revoked_at = key.revoked_at or now()
        await self._session.flush()


async def find_key(session: AsyncSession, prefix: str) -> ApiKey | None:
    """The key of that public half, whosever it is: for authentication alone."""
    return await session.scalar(select(ApiKey).where(ApiKey.prefix == prefix))


async def keys_of_user(session: AsyncSession, user_id: str) -> Sequence[str]:
    """The ids of a user's keys in every tenant: for the operator alone."""
    return (await session.scalars(select(ApiKey.id).where(ApiKey.user_id == user_id))).all()


async def touch_keys(session: AsyncSession, used: dict[str, datetime]) -> None:
    """Keep when keys were last used."""
    for key_id, at in sorted(used.items()):
        await session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=at))
