"""API keys."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.columns import now
from storage.repositories.tenant import TenantRepository, page
from storage.tables import ApiKey


class KeyRepository(TenantRepository):
    """The API keys of one tenant."""

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
        """Add a key; only the hash of its secret is stored."""
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
        """Return a key by ID."""
        return await self._get(ApiKey, key_id)

    async def list(self, *, after: str | None = None, limit: int = 100) -> Sequence[ApiKey]:
        """Return keys, including revoked ones, ordered by ID, starting after the ID ``after``."""
        return await page(self._session, ApiKey, self._own(ApiKey), after=after, limit=limit)

    async def ids_of(self, user_id: str) -> Sequence[str]:
        """Return the IDs of a user's keys."""
        query = select(ApiKey.id).where(ApiKey.org_id == self._org_id, ApiKey.user_id == user_id)
        return (await self._session.scalars(query)).all()

    async def revoke_user(self, user_id: str) -> None:
        """Revoke all keys of a user."""
        await self._session.execute(
            update(ApiKey)
            .where(ApiKey.org_id == self._org_id, ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
            .values(revoked_at=now())
        )

    async def revoke(self, key: ApiKey) -> None:
        """Revoke a key."""
        key.revoked_at = key.revoked_at or now()
        await self._session.flush()


async def find_key(session: AsyncSession, prefix: str) -> ApiKey | None:
    """Return the key of any tenant by its public prefix. For authentication only."""
    return await session.scalar(select(ApiKey).where(ApiKey.prefix == prefix))


async def keys_of_user(session: AsyncSession, user_id: str) -> Sequence[str]:
    """Return the IDs of a user's keys in all tenants. For the operator only."""
    return (await session.scalars(select(ApiKey.id).where(ApiKey.user_id == user_id))).all()


async def touch_keys(session: AsyncSession, used: dict[str, datetime]) -> None:
    """Save the times at which keys were last used."""
    for key_id, at in sorted(used.items()):
        await session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=at))
