"""Deletion of expired data. Its state is in the database, so it survives restarts."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from services.config import RetentionConfig
from services.erasure import erase_doomed
from services.gate import DatabaseGate
from storage.columns import now
from storage.objects.contract import ObjectStore
from storage.repositories.audit import AuditRepository
from storage.repositories.doomed import DoomedObjects
from storage.repositories.outputs import count_expired_outputs, delete_output, expired_outputs
from storage.repositories.samples import (
    count_expired_samples,
    expired_samples,
    forget_recordings,
    keys_of,
    sample_orgs,
)

ACTOR: Final = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionReport:
    """Numbers of items that were deleted, or would be.

    Attributes:
        outputs: Stored audio outputs.
        recordings: Uploaded recordings; the voices prepared from them are kept.
        objects: Unreferenced objects.
    """

    outputs: int = 0
    recordings: int = 0
    objects: int = 0


async def run_retention(
    gate: DatabaseGate, objects: ObjectStore, retention: RetentionConfig, *, dry_run: bool = False
) -> RetentionReport:
    """Delete all expired data.

    Args:
        gate: The database.
        objects: The object store.
        retention: Default retention times, which tenants can override.
        dry_run: Whether to only count the items.

    Raises:
        StorageError: The database or the store is unavailable; the rest remains for the next call.
    """
    if dry_run:
        return await _count(gate, retention)
    outputs = 0
    while thrown := await throw_away_outputs(gate, objects):
        outputs += thrown
    recordings = await throw_away_recordings(gate, retention)
    return RetentionReport(outputs=outputs, recordings=recordings, objects=await erase_doomed(gate, objects))


async def throw_away_outputs(gate: DatabaseGate, objects: ObjectStore) -> int:
    """Delete a batch of expired audio outputs; return their number.

    Raises:
        StorageUnavailable: The database or the store is unavailable; the rest remains for the next call.
    """
    async with gate.read() as session:
        expired = await expired_outputs(session, now())
    for output in expired:
        # The object first: if the process dies in between, the row still has its key.
        await objects.delete(output.key)
        async with gate.write() as session:
            await delete_output(session, output.id)
    return len(expired)


async def throw_away_recordings(gate: DatabaseGate, retention: RetentionConfig) -> int:
    """Mark uploaded recordings past their tenant's retention time for erasure; return their number.

    The voices prepared from them and their quality reports are kept.

    Raises:
        StorageUnavailable: The database is unavailable; the rest remains for the next call.
    """
    async with gate.read() as session:
        orgs = await sample_orgs(session)
    thrown = 0
    for org_id, own in orgs:
        days = own.get("uploads_days", retention.uploads_days)
        if days is None:
            continue
        while count := await _throw_away(gate, org_id, days):
            thrown += count
    return thrown


async def _throw_away(gate: DatabaseGate, org_id: str, days: int) -> int:
    before = now() - timedelta(days=days)
    # Usually nothing has expired, and a read transaction does not block writers.
    async with gate.read() as session:
        if not await count_expired_samples(session, org_id, before):
            return 0
    async with gate.write() as session:
        expired = await expired_samples(session, org_id, before)
        await DoomedObjects(session).doom([key for sample in expired for key in keys_of(sample)])
        audit = AuditRepository(session, org_id)
        for sample in expired:
            forget_recordings(sample)
            await audit.add(
                "sample.recording_expired",
                actor=ACTOR,
                target=sample.id,
                details={"voice": sample.voice_id, "days": days},
            )
    return len(expired)


async def _count(gate: DatabaseGate, retention: RetentionConfig) -> RetentionReport:
    async with gate.read() as session:
        recordings = 0
        for org_id, own in await sample_orgs(session):
            days = own.get("uploads_days", retention.uploads_days)
            if days is not None:
                recordings += await count_expired_samples(session, org_id, now() - timedelta(days=days))
        return RetentionReport(
            outputs=await count_expired_outputs(session, now()),
            recordings=recordings,
            objects=await DoomedObjects(session).count_due(),
        )
