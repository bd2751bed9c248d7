"""Throwing away what was kept long enough. What it goes by is in the database, so it survives restarts."""

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
    """What was thrown away, or would be.

    Attributes:
        outputs: Pieces of kept audio.
        recordings: Uploaded recordings; what was prepared from them stays.
        objects: Objects that nothing pointed to any more.
    """

    outputs: int = 0
    recordings: int = 0
    objects: int = 0


async def run_retention(
    gate: DatabaseGate, objects: ObjectStore, retention: RetentionConfig, *, dry_run: bool = False
) -> RetentionReport:
    """Throw away all whose time is over.

    Args:
        gate: The database.
        objects: The object store.
        retention: How long things are kept, unless a tenant has its own times.
        dry_run: Only count.

    Raises:
        StorageError: A part is away; the rest is for the next time.
    """
    if dry_run:
        return await _count(gate, retention)
    outputs = 0
    while thrown := await throw_away_outputs(gate, objects):
        outputs += thrown
    recordings = await throw_away_recordings(gate, retention)
    return RetentionReport(outputs=outputs, recordings=recordings, objects=await erase_doomed(gate, objects))


async def throw_away_outputs(gate: DatabaseGate, objects: ObjectStore) -> int:
    """Remove the kept audio whose time is over, some at once; gives how many.

    Raises:
        StorageUnavailable: The database or the store is away; the rest is for the next time.
    """
    async with gate.read() as session:
        expired = await expired_outputs(session, now())
    for output in expired:
        # The object first: should this process die between, the row still says where it was.
        await objects.delete(output.key)
        async with gate.write() as session:
            await delete_output(session, output.id)
    return len(expired)


async def throw_away_recordings(gate: DatabaseGate, retention: RetentionConfig) -> int:
    """Have uploaded recordings erased that are older than their tenant keeps them; gives how many.

    What was prepared from them stays, and what is known of their quality.

    Raises:
        StorageUnavailable: The database is away; the rest is for the next time.
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
    # Nearly always there is nothing, and nobody has to wait for that.
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
