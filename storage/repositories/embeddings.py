"""Voices prepared for engines, and the queue of preparations.

Each row is also a job. A worker claims it with a lease, renews the lease while it works, and saves the result
only if it still holds the lease; if the worker dies, the lease expires and another worker can claim the row.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, CursorResult, Select, and_, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.columns import now
from storage.repositories.tenant import TenantRepository
from storage.tables import AudioSample, VoiceEmbedding, VoiceProfile, VoiceState

LOST: Final = "It was prepared with another model of the engine, and its recordings are no longer kept."


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker's claim to prepare one voice for one engine.

    Attributes:
        org_id: ID of the voice's tenant.
        voice_id: ID of the voice.
        engine: Configured name of the engine.
        wanted: Generation of the voice to prepare.
        attempts: Number of previous failures.
        lease: ID of the worker's lease.
    """

    org_id: str
    voice_id: str
    engine: str
    wanted: int
    attempts: int
    lease: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An embedding in the object store.

    Attributes:
        embedding_id: ID of the embedding; never reused.
        model: Identifier of the model that it was computed with.
        key: Key in the object store.
        size: Size in bytes.
    """

    embedding_id: str
    model: str
    key: str
    size: int


class EmbeddingRepository(TenantRepository):
    """The prepared voices of one tenant."""

    async def list(self, voice_ids: Sequence[str]) -> Sequence[VoiceEmbedding]:
        """Return the rows of some voices, ordered by voice and engine."""
        query = self._own(VoiceEmbedding, VoiceEmbedding.voice_id.in_(voice_ids))
        ordered = query.order_by(VoiceEmbedding.voice_id, VoiceEmbedding.engine)
        return (await self._session.scalars(ordered)).all()

    async def want(self, voice: VoiceProfile, engines: Collection[str]) -> None:
        """Request preparation of a voice's current samples; ready embeddings remain in use until then."""
        found = {row.engine: row for row in await self.list([voice.id])}
        for engine in engines:
            row = found.get(engine)
            if row is None:
                row = VoiceEmbedding(voice_id=voice.id, engine=engine, org_id=self._org_id)
                self._session.add(row)
            row.wanted = voice.generation
            row.state, row.reason, row.attempts = VoiceState.PENDING, None, 0
            row.due_at, row.lease = now(), None
        await self._session.flush()

    async def put_prepared(self, voice: VoiceProfile, engine: str, prepared: Prepared) -> None:
        """Add an embedding that came with an imported voice."""
        row = VoiceEmbedding(
            voice_id=voice.id,
            engine=engine,
            org_id=self._org_id,
            state=VoiceState.READY,
            wanted=voice.generation,
            generation=voice.generation,
            embedding_id=prepared.embedding_id,
            model=prepared.model,
            key=prepared.key,
            size=prepared.size,
            prepared_at=now(),
        )
        self._session.add(row)
        await self._session.flush()

    async def stop(self, voice_id: str) -> Sequence[str]:
        """Delete a voice's rows, which cancels its preparation; return the keys of its embeddings."""
        rows = await self.list([voice_id])
        for row in rows:
            await self._session.delete(row)
        await self._session.flush()
        return tuple(row.key for row in rows if row.key is not None)


async def preparation_is_due(session: AsyncSession, engines: Collection[str]) -> bool:
    """Whether a preparation is due. For workers only."""
    query = select(VoiceEmbedding.voice_id).where(
        VoiceEmbedding.due_at <= now(), VoiceEmbedding.engine.in_(engines)
    )
    return await session.scalar(query.limit(1)) is not None


async def claim_preparation(
    session: AsyncSession, engines: Collection[str], *, lease: str, seconds: float
) -> Claim | None:
    """Claim the preparation of any tenant that is due the longest, and lock its voice. For workers only.

    Args:
        session: A write transaction.
        engines: Names of the engines that the worker can prepare for.
        lease: A new ID.
        seconds: Duration of the lease.

    Returns:
        The claim; ``None`` if nothing is due.
    """
    query = (
        select(VoiceEmbedding)
        .join(VoiceProfile, VoiceProfile.id == VoiceEmbedding.voice_id)
        .where(VoiceEmbedding.due_at <= now(), VoiceEmbedding.engine.in_(engines))
        .order_by(VoiceEmbedding.due_at)
        .limit(1)
        # The voice as well: other transactions lock it before its rows.
        .with_for_update(of=(VoiceProfile, VoiceEmbedding), skip_locked=True)
    )
    row = await session.scalar(query)
    if row is None:
        return None
    row.state, row.lease = VoiceState.PROCESSING, lease
    row.due_at = now() + timedelta(seconds=seconds)
    await session.flush()
    return Claim(
        org_id=row.org_id,
        voice_id=row.voice_id,
        engine=row.engine,
        wanted=row.wanted,
        attempts=row.attempts,
        lease=lease,
    )


async def renew_claim(session: AsyncSession, claim: Claim, *, seconds: float) -> bool:
    """Extend the lease; false if it is lost."""
    return await _change(session, claim, {"due_at": now() + timedelta(seconds=seconds)})


async def finish_claim(
    session: AsyncSession, claim: Claim, prepared: Prepared
) -> tuple[bool, Prepared | None]:
    """Save the result of a preparation.

    Returns:
        Whether the worker still held the lease, and the embedding that is replaced, if any.
    """
    row = await session.scalar(_claimed(claim).with_for_update())
    if row is None:
        return False, None
    old = None
    if row.embedding_id is not None and row.model is not None and row.key is not None:
        old = Prepared(embedding_id=row.embedding_id, model=row.model, key=row.key, size=row.size)
    row.embedding_id, row.model = prepared.embedding_id, prepared.model
    row.key, row.size = prepared.key, prepared.size
    row.generation, row.prepared_at = claim.wanted, now()
    row.state, row.reason, row.attempts = VoiceState.READY, None, 0
    row.due_at = row.lease = None
    await session.flush()
    return True, old


async def return_claim(session: AsyncSession, claim: Claim) -> bool:
    """Release a claim so that any worker can take it; false if the lease was lost."""
    return await _change(session, claim, {"state": VoiceState.PENDING, "due_at": now(), "lease": None})


async def fail_claim(session: AsyncSession, claim: Claim, reason: str, *, retry_at: datetime | None) -> bool:
    """Record a failure, final if ``retry_at`` is ``None``; false if the lease was lost."""
    state = VoiceState.FAILED if retry_at is None else VoiceState.PENDING
    values = {
        "state": state,
        "reason": reason,
        "attempts": claim.attempts + 1,
        "due_at": retry_at,
        "lease": None,
    }
    return await _change(session, claim, values)


async def want_current_models(session: AsyncSession, models: Mapping[str, str]) -> int:
    """Request preparation of voices that an engine lacks, or has from another model. For workers only.

    This applies to voices that are ready or wait for an engine, and whose recordings are kept. Embeddings of
    another model without recordings are marked as failed.

    Args:
        session: A write transaction.
        models: Names of the engines that clone, each with its model.

    Returns:
        Number of requested preparations, at most 100 per engine.
    """
    wanted = 0
    for engine, model in models.items():
        # Skip voices that another process has locked: it may be doing the same.
        query = _wanting(engine, model).limit(100).with_for_update(of=VoiceProfile, skip_locked=True)
        for voice, _ in (await session.execute(query)).all():
            await EmbeddingRepository(session, voice.org_id).want(voice, [engine])
            wanted += 1
        lost = update(VoiceEmbedding).where(_lost(engine, model))
        await session.execute(lost.values(state=VoiceState.FAILED, reason=LOST))
    return wanted


async def models_are_current(session: AsyncSession, models: Mapping[str, str]) -> bool:
    """Whether :func:`want_current_models` would change nothing; takes no locks."""
    for engine, model in models.items():
        if (await session.execute(_wanting(engine, model).limit(1))).first() is not None:
            return False
        lost = select(VoiceEmbedding.voice_id).where(_lost(engine, model)).limit(1)
        if await session.scalar(lost) is not None:
            return False
    return True


def _wanting(engine: str, model: str) -> Select[VoiceProfile, VoiceEmbedding]:
    """Select voices that an engine lacks, or has from another model, and that can be prepared."""
    kept = exists().where(AudioSample.voice_id == VoiceProfile.id, AudioSample.audio_key.is_not(None))
    return (
        select(VoiceProfile, VoiceEmbedding)
        .outerjoin(
            VoiceEmbedding,
            and_(VoiceEmbedding.voice_id == VoiceProfile.id, VoiceEmbedding.engine == engine),
        )
        .where(
            or_(
                VoiceProfile.state == VoiceState.READY,
                and_(VoiceProfile.state == VoiceState.PENDING, VoiceProfile.reason.is_(None)),
            ),
            kept,
            or_(
                VoiceEmbedding.voice_id.is_(None),
                and_(VoiceEmbedding.state == VoiceState.READY, VoiceEmbedding.model != model),
            ),
        )
    )


def _lost(engine: str, model: str) -> ColumnElement[bool]:
    """Match embeddings from another model than the engine's whose recordings are no longer kept."""
    return and_(
        VoiceEmbedding.engine == engine,
        VoiceEmbedding.state == VoiceState.READY,
        VoiceEmbedding.model != model,
        ~exists().where(AudioSample.voice_id == VoiceEmbedding.voice_id, AudioSample.audio_key.is_not(None)),
    )


def _claimed(claim: Claim) -> Select[VoiceEmbedding]:
    return select(VoiceEmbedding).where(
        VoiceEmbedding.voice_id == claim.voice_id,
        VoiceEmbedding.engine == claim.engine,
        VoiceEmbedding.lease == claim.lease,
    )


async def _change(session: AsyncSession, claim: Claim, values: dict[str, Any]) -> bool:
    changed: CursorResult[Any] = await session.execute(  # pyright: ignore[reportAssignmentType] - an UPDATE's
        update(VoiceEmbedding)
        .where(
            VoiceEmbedding.voice_id == claim.voice_id,
            VoiceEmbedding.engine == claim.engine,
            VoiceEmbedding.lease == claim.lease,
        )
        .values(**values)
    )
    return changed.rowcount == 1
