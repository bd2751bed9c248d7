"""Consents of speakers to the use of their voices."""

from collections.abc import Sequence

from storage.columns import now
from storage.repositories.tenant import TenantRepository, page
from storage.tables import VoiceConsent


class ConsentRepository(TenantRepository):
    """The consents of one tenant. As evidence, they are deleted only with the tenant."""

    async def add(self, consent: VoiceConsent) -> VoiceConsent:
        """Add a consent."""
        return await self._keep(consent)

    async def get(self, consent_id: str, *, revoked: bool = False) -> VoiceConsent | None:
        """Return a consent by ID; revoked ones only if ``revoked`` is true."""
        query = self._own(VoiceConsent, VoiceConsent.id == consent_id)
        if not revoked:
            query = query.where(VoiceConsent.revoked_at.is_(None))
        return await self._session.scalar(query)

    async def lock(self, consent_id: str) -> VoiceConsent | None:
        """Return a consent that is not revoked, locked until the transaction ends."""
        query = self._own(VoiceConsent, VoiceConsent.id == consent_id)
        locking = query.with_for_update(key_share=True).execution_options(populate_existing=True)
        consent = await self._session.scalar(locking)
        return None if consent is None or consent.revoked_at is not None else consent

    async def list(
        self, *, after: str | None = None, limit: int = 100, revoked: bool = False
    ) -> Sequence[VoiceConsent]:
        """Return consents ordered by ID, starting after the ID ``after``."""
        query = self._own(VoiceConsent)
        if not revoked:
            query = query.where(VoiceConsent.revoked_at.is_(None))
        return await page(self._session, VoiceConsent, query, after=after, limit=limit)

    async def revoke(self, consent: VoiceConsent) -> None:
        """Mark a consent as revoked; the caller handles the consequences."""
        consent.revoked_at = consent.revoked_at or now()
        await self._session.flush()
