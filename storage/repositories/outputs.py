"""Finished audio."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.repositories.stored import make_room
from storage.repositories.tenant import TenantRepository, page
from storage.tables import Output


class OutputRepository(TenantRepository):
    """The finished audio of one tenant."""

    async def add(  # noqa: PLR0913 - the columns of a row, by name
        self,
        *,
        output_id: str,
        key: str,
        content_type: str,
        size: int,
        etag: str,
        duration_ms: int,
        expires_at: datetime | None,
        most: int | None = None,
    ) -> Output:
        """Add a row for audio that is already in the object store.

        Raises:
            OverQuota: The tenant would store more than ``most`` bytes.
        """
        await make_room(self._session, self._org_id, size, most=most)
        return await self._keep(
            Output(
                id=output_id,
                org_id=self._org_id,
                key=key,
                content_type=content_type,
                size=size,
                etag=etag,
                duration_ms=duration_ms,
                expires_at=expires_at,
            )
        )

    async def get(self, output_id: str) -> Output | None:
        """Return finished audio by ID."""
        return await self._get(Output, output_id)

    async def list(self, *, after: str | None = None, limit: int = 100) -> Sequence[Output]:
        """Return finished audio ordered by ID, starting after the ID ``after``."""
        return await page(self._session, Output, self._own(Output), after=after, limit=limit)

    async def delete(self, output_id: str) -> None:
        """Delete a row; the caller deletes the object."""
        await self._session.execute(
            delete(Output).where(Output.org_id == self._org_id, Output.id == output_id)
        )


async def delete_output(session: AsyncSession, output_id: str) -> None:
    """Delete a row of any tenant. For the sweep only."""
    await session.execute(delete(Output).where(Output.id == output_id))


async def expired_outputs(session: AsyncSession, before: datetime, *, limit: int = 100) -> Sequence[Output]:
    """Return audio of any tenant whose retention has ended, earliest first. For the sweep only."""
    query = select(Output).where(Output.expires_at < before).order_by(Output.expires_at).limit(limit)
    return (await session.scalars(query)).all()


async def count_expired_outputs(session: AsyncSession, before: datetime) -> int:
    """Return the total number of :func:`expired_outputs`. For the sweep only."""
    query = select(func.count()).select_from(Output).where(Output.expires_at < before)
    return int(await session.scalar(query) or 0)
