"""Consents to be spoken like."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.columns import now
from storage.tables import VoiceConsent


class ConsentRepository:
    """The consents of one tenant. None is ever removed but with the tenant: they are evidence.

    Args:
        session: A transaction.
        org_id: The tenant.
    """

    def __init__(self, session: AsyncSession, org_id: str) -> None:
        self._session = session
        self._org_id = org_id

    async def add(self, consent: VoiceConsent) -> VoiceConsent:
        """Keep a new consent of the tenant's."""
        if consent.org_id != self._org_id:
            raise ValueError("a consent of another tenant")
        self._session.add(consent)
        await self._session.flush()
        return consent

    async def get(self, consent_id: str, *, revoked: bool = False) -> VoiceConsent | None:
        """The consent of that id, if it holds, or (``revoked``) whether it does or not."""
        query = select(VoiceConsent).where(VoiceConsent.org_id == self._org_id, VoiceConsent.id == consent_id)
        if not revoked:
            query = query.where(VoiceConsent.revoked_at.is_(None))
        return await self._session.scalar(query)

    async def lock(self, consent_id: str) -> VoiceConsent | None:
        """The consent of that id, if it holds; until the transaction ends nobody withdraws it."""
        query = select(VoiceConsent).where(VoiceConsent.org_id == self._org_id, VoiceConsent.id == consent_id)
        locking = query.with_for_update(key_share=True).execution_options(populate_existing=True)
        consent = await self._session.scalar(locking)
        return None if consent is None or consent.revoked_at is not None else consent

    async def list(
        self, *, after: str | None = None, limit: int = 100, revoked: bool = False
    ) -> Sequence[VoiceConsent]:
        """Consents in the order of their ids, those after ``after``."""
        query = select(VoiceConsent).where(VoiceConsent.org_id == self._org_id)
        if not revoked:
            query = query.where(VoiceConsent.revoked_at.is_(None))
        if after is not None:
            query = query.where(VoiceConsent.id > after)
        return (await self._session.scalars(query.order_by(VoiceConsent.id).limit(limit))).all()

    async def revoke(self, consent: VoiceConsent) -> None:
        """Note that a consent was withdrawn; what follows from it is the caller's."""
        consent.revoked_at = consent.revoked_at or now()
        await self._session.flush()
