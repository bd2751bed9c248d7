"""The total size of what a tenant stores."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.errors import OverQuota
from storage.tables import AudioSample, Org, Output, VoiceConsent, VoiceEmbedding


async def stored_bytes(session: AsyncSession, org_id: str) -> int:
    """Return the size in bytes of a tenant's audio, recordings, consents and prepared voices."""
    total = 0
    for table in (Output, AudioSample, VoiceConsent, VoiceEmbedding):
        query = select(func.coalesce(func.sum(table.size), 0)).where(table.org_id == org_id)
        total += int(await session.scalar(query) or 0)
    return total


async def make_room(session: AsyncSession, org_id: str, size: int, *, most: int | None) -> None:
    """Check that a tenant may store ``size`` more bytes in this transaction.

    Raises:
        OverQuota: It would store more than ``most`` bytes.
    """
    if most is None:
        return
    # One at a time, so that concurrent calls cannot both use the same room.
    await session.execute(select(Org.id).where(Org.id == org_id).with_for_update())
    used = await stored_bytes(session, org_id)
    if used + size > most:
        raise OverQuota("bytes/all", limit=most, used=used, wanted=size)
