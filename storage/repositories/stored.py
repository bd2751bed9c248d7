"""How many bytes a tenant keeps, of all kinds together."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.errors import OverQuota
from storage.tables import AudioSample, Org, Output, VoiceConsent, VoiceEmbedding


async def stored_bytes(session: AsyncSession, org_id: str) -> int:
    """Bytes of a tenant's audio, recordings and prepared voices."""
    total = 0
    for table in (Output, AudioSample, VoiceConsent, VoiceEmbedding):
        query = select(func.coalesce(func.sum(table.size), 0)).where(table.org_id == org_id)
        total += int(await session.scalar(query) or 0)
    return total


async def make_room(session: AsyncSession, org_id: str, size: int, *, most: int | None) -> None:
    """Let a tenant keep ``size`` bytes more, in this transaction.

    Raises:
        OverQuota: It would keep more than ``most``.
    """
    if most is None:
        return
    # One after the other, so that two at once do not both find room.
    await session.execute(select(Org.id).where(Org.id == org_id).with_for_update())
    used = await stored_bytes(session, org_id)
    if used + size > most:
        raise OverQuota("bytes/all", limit=most, used=used, wanted=size)
