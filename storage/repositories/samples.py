"""Recordings that voices are made from."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.repositories.tenant import TenantRepository
from storage.tables import AudioSample, Org


class SampleRepository(TenantRepository):
    """The samples of one tenant."""

    async def add(self, sample: AudioSample) -> AudioSample:
        """Keep a new sample of the tenant's; its objects are there already."""
        return await self._keep(sample)

    async def get(self, voice_id: str, sample_id: str) -> AudioSample | None:
        """The sample of that id, if it is that voice's."""
        query = self._own(AudioSample, AudioSample.voice_id == voice_id, AudioSample.id == sample_id)
        return await self._session.scalar(query)

    async def list(self, voice_id: str) -> Sequence[AudioSample]:
        """The samples of a voice, the oldest first."""
        query = self._own(AudioSample, AudioSample.voice_id == voice_id)
        ordered = query.order_by(AudioSample.created_at, AudioSample.id)
        return (await self._session.scalars(ordered)).all()

    async def counts(self, voice_ids: Sequence[str]) -> dict[str, int]:
        """How many samples voices have; those without any are left out."""
        query: Select[str, int] = (
            select(AudioSample.voice_id, func.count())
            .where(AudioSample.org_id == self._org_id, AudioSample.voice_id.in_(voice_ids))
            .group_by(AudioSample.voice_id)
        )
        rows = (await self._session.execute(query)).all()
        return {row[0]: row[1] for row in rows}

    async def delete(self, sample: AudioSample) -> None:
        """Remove a sample; its objects are the caller's."""
        await self._session.execute(
            delete(AudioSample).where(AudioSample.org_id == self._org_id, AudioSample.id == sample.id)
        )


def keys_of(sample: AudioSample) -> list[str]:
    """Where a sample's objects are."""
    return [key for key in (sample.original_key, sample.audio_key) if key is not None]


def forget_recordings(sample: AudioSample) -> None:
    """Note that a sample's recordings are not kept any more; its objects are the caller's."""
    sample.original_key = sample.audio_key = None
    sample.size = 0


async def expired_samples(
    session: AsyncSession, org_id: str, before: datetime, *, limit: int = 100
) -> Sequence[AudioSample]:
    """A tenant's samples whose recordings are older than its retention allows: for the sweep alone.

    Those that somebody else changes or takes just now are left for the next time.
    """
    query = select(AudioSample).where(AudioSample.org_id == org_id, AudioSample.created_at < before, _kept())
    query = query.order_by(AudioSample.created_at).limit(limit).with_for_update(skip_locked=True)
    return (await session.scalars(query)).all()


async def count_expired_samples(session: AsyncSession, org_id: str, before: datetime) -> int:
    """How many :func:`expired_samples` there are: for the sweep alone."""
    query = select(func.count()).select_from(AudioSample)
    query = query.where(AudioSample.org_id == org_id, AudioSample.created_at < before, _kept())
    return int(await session.scalar(query) or 0)


async def sample_orgs(session: AsyncSession) -> Sequence[tuple[str, dict[str, Any]]]:
    """The tenants that keep recordings, with their own retention: for the sweep alone."""
    kept = select(AudioSample.org_id).where(_kept())
    rows = await session.execute(select(Org.id, Org.retention).where(Org.id.in_(kept)))
    return [(row[0], row[1]) for row in rows.all()]


def _kept() -> ColumnElement[bool]:
    return or_(AudioSample.original_key.is_not(None), AudioSample.audio_key.is_not(None))
