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
        """Add a sample whose objects are already in the object store."""
        return await self._keep(sample)

    async def get(self, voice_id: str, sample_id: str) -> AudioSample | None:
        """Return a sample of a voice by ID."""
        query = self._own(AudioSample, AudioSample.voice_id == voice_id, AudioSample.id == sample_id)
        return await self._session.scalar(query)

    async def list(self, voice_id: str) -> Sequence[AudioSample]:
        """Return the samples of a voice, oldest first."""
        query = self._own(AudioSample, AudioSample.voice_id == voice_id)
        ordered = query.order_by(AudioSample.created_at, AudioSample.id)
        return (await self._session.scalars(ordered)).all()

    async def counts(self, voice_ids: Sequence[str]) -> dict[str, int]:
        """Return the number of samples of each voice; voices without samples are omitted."""
        query: Select[str, int] = (
            select(AudioSample.voice_id, func.count())
            .where(AudioSample.org_id == self._org_id, AudioSample.voice_id.in_(voice_ids))
            .group_by(AudioSample.voice_id)
        )
        rows = (await self._session.execute(query)).all()
        return {row[0]: row[1] for row in rows}

    async def delete(self, sample: AudioSample) -> None:
        """Delete a sample's row; the caller deletes its objects."""
        await self._session.execute(
            delete(AudioSample).where(AudioSample.org_id == self._org_id, AudioSample.id == sample.id)
        )


def keys_of(sample: AudioSample) -> list[str]:
    """Return the keys of a sample's objects."""
    return [key for key in (sample.original_key, sample.audio_key) if key is not None]


def forget_recordings(sample: AudioSample) -> None:
    """Mark a sample's recordings as no longer kept; the caller deletes the objects."""
    sample.original_key = sample.audio_key = None
    sample.size = 0


async def expired_samples(
    session: AsyncSession, org_id: str, before: datetime, *, limit: int = 100
) -> Sequence[AudioSample]:
    """Return and lock a tenant's samples with recordings from before a time. For the sweep only.

    Samples that other transactions have locked are skipped.
    """
    query = select(AudioSample).where(AudioSample.org_id == org_id, AudioSample.created_at < before, _kept())
    query = query.order_by(AudioSample.created_at).limit(limit).with_for_update(skip_locked=True)
    return (await session.scalars(query)).all()


async def count_expired_samples(session: AsyncSession, org_id: str, before: datetime) -> int:
    """Return the total number of :func:`expired_samples`. For the sweep only."""
    query = select(func.count()).select_from(AudioSample)
    query = query.where(AudioSample.org_id == org_id, AudioSample.created_at < before, _kept())
    return int(await session.scalar(query) or 0)


async def sample_orgs(session: AsyncSession) -> Sequence[tuple[str, dict[str, Any]]]:
    """Return the IDs of tenants with recordings, and their own retention. For the sweep only."""
    kept = select(AudioSample.org_id).where(_kept())
    rows = await session.execute(select(Org.id, Org.retention).where(Org.id.in_(kept)))
    return [(row[0], row[1]) for row in rows.all()]


def _kept() -> ColumnElement[bool]:
    return or_(AudioSample.original_key.is_not(None), AudioSample.audio_key.is_not(None))
