"""Consents to be spoken like."""

from collections.abc import Sequence

from storage.columns import now
from storage.repositories.tenant import TenantRepository, page
from storage.tables import VoiceConsent


class ConsentRepository(TenantRepository):
    """The consents of one tenant. None is ever removed but with the tenant: they are evidence."""

    async def add(self, consent: VoiceConsent) -> VoiceConsent:
        """Keep a new consent of the tenant's."""
        return await self._keep(consent)

    async def get(self, consent_id: str, *, revoked: bool = False) -> VoiceConsent | None:
        """The consent of that id, if it holds, or (``revoked``) whether it does or not."""
        query = self._own(VoiceConsent, VoiceConsent.id == consent_id)
        if not revoked:
            query = query.where(VoiceConsent.revoked_at.is_(None))
        return await self._session.scalar(query)

    async def lock(self, consent_id: str) -> VoiceConsent | None:
        """The consent of that id, if it holds; until the transaction ends nobody withdraws it."""
        query = self._own(VoiceConsent, VoiceConsent.id == consent_id)
        locking = query.with_for_update(key_share=True).execution_options(populate_existing=True)
        consent = await self._session.scalar(locking)
        return None if consent is None or consent.revoked_at is not None else consent

    async def list(
        self, *, after: str | None = None, limit: int = 100, revoked: bool = False
    ) -> Sequence[VoiceConsent]:
        """Consents in the order of their ids, those after ``after``."""
        query = self._own(VoiceConsent)
        if not revoked:
            query = query.where(VoiceConsent.revoked_at.is_(None))
        return await page(self._session, VoiceConsent, query, after=after, limit=limit)

    async def revoke(self, consent: VoiceConsent) -> None:
        """Note that a consent was withdrawn; what follows from it is the caller's."""
        consent.revoked_at = consent.revoked_at or now()
        await self._session.flush()
