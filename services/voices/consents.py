"""Consents: recorded as evidence, and revoked together with the voices that they allow."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.errors import not_found
from services.uploads import Upload
from services.voices.bundle import ConsentEntry
from services.voices.intake import content_type
from services.voices.transaction import Owner, VoiceParts, VoiceTransaction
from storage.columns import new_id, now
from storage.objects.keys import consent_key, voice_prefix
from storage.repositories.voices import touch
from storage.tables import VoiceConsent, VoiceState

WITHDRAWN: Final = "Its consent was withdrawn."


class Consents:
    """Records, reads and revokes consents.

    Args:
        parts: The shared dependencies.
    """

    def __init__(self, parts: VoiceParts) -> None:
        self._parts = parts

    async def record(self, owner: Owner, upload: Upload, *, name: str, language: str | None) -> VoiceConsent:
        """Store a recording in which a speaker consents.

        Args:
            owner: The tenant; the origin of the request is part of the evidence.
            upload: The recording.
            name: The tenant's name for the consent.
            language: BCP-47 tag of the spoken words.

        Raises:
            ApiError: 400 for an unusable upload, 429, 503.
        """
        statement = {"address": owner.origin.address, "actor": owner.origin.actor}
        async with self._parts.discarding() as keys:
            consent = await self._put(owner, upload, name, language, statement)
            keys.append(consent.key or "")
            async with self._parts.writing(owner) as transaction:
                await self.keep(transaction, consent)
        return consent

    async def arrived(self, owner: Owner, entry: ConsentEntry, recording: Upload | None) -> VoiceConsent:
        """Return the consent of a voice that is imported from another server, for :meth:`keep` to store.

        Its recording, if any, is put into the object store.

        Raises:
            ApiError: 400 for an unusable recording, 503.
        """
        origin = owner.origin
        statement = {"address": origin.address, "actor": origin.actor, "imported": entry.statement}
        if recording is not None:
            return await self._put(owner, recording, entry.name, entry.language, statement)
        return VoiceConsent(
            id=new_id("cons"),
            org_id=owner.org_id,
            kind="attestation",
            name=entry.name,
            language=entry.language,
            statement={**statement, "kind": entry.kind, "at": now().isoformat()},
        )

    async def keep(self, transaction: VoiceTransaction, consent: VoiceConsent) -> None:
        """Add a new consent to the database, in the caller's transaction.

        Raises:
            ApiError: 503, its recording has been removed because the request took too long.
            OverQuota: The tenant's storage limit would be exceeded.
        """
        if consent.key is not None:
            await transaction.make_room(consent.size)
            await self._parts.intake.claim(transaction.session, [consent.key])
        await transaction.consents.add(consent)
        await transaction.log("consent.given", consent.id, {"kind": consent.kind})

    async def attest(
        self, owner: Owner, voice_id: str, *, name: str, text: str, language: str | None
    ) -> VoiceConsent:
        """Record a written statement of consent, and allow a voice by it.

        Args:
            owner: The tenant; the origin of the request is part of the evidence.
            voice_id: ID of the voice.
            name: Name of the person who consents.
            text: The statement.
            language: BCP-47 tag of the statement.

        Raises:
            ApiError: 404.
        """
        engines = await self._parts.cloning()
        origin = owner.origin
        said = {"name": name, "text": text, "at": now().isoformat()}
        async with self._parts.writing(owner) as transaction:
            voice = await transaction.locked(voice_id)
            consent = VoiceConsent(
                org_id=owner.org_id,
                kind="attestation",
                name=name,
                language=language,
                statement={**said, "address": origin.address, "actor": origin.actor},
            )
            await self.keep(transaction, consent)
            if voice.state != VoiceState.REVOKED:
                voice.consent_id = consent.id
                await transaction.renew(voice, engines)
        self._parts.changed()
        return consent

    async def _put(
        self, owner: Owner, upload: Upload, name: str, language: str | None, statement: Mapping[str, Any]
    ) -> VoiceConsent:
        """Examine a recording and put it into the object store; return the consent without storing it."""
        report = await self._parts.intake.examine(
            upload, upload.path.with_name(f"{upload.path.name}.wav"), param="recording"
        )
        consent_id = new_id("cons")
        consent = VoiceConsent(
            id=consent_id,
            org_id=owner.org_id,
            kind="recording",
            name=name,
            language=language,
            statement=dict(statement),
            key=consent_key(owner.org_id, consent_id),
            content_type=content_type(report),
            size=upload.size,
            report=report.model_dump(mode="json"),
        )
        async with self._parts.intake.discarding() as keys:
            keys.append(consent.key or "")
            await self._parts.intake.put(consent.key or "", upload.path, content_type(report))
        return consent

    async def get(self, owner: Owner, consent_id: str, *, revoked: bool = False) -> VoiceConsent:
        """Return a consent.

        Args:
            owner: The tenant.
            consent_id: ID of the consent.
            revoked: Whether to include revoked consents.

        Raises:
            ApiError: 404.
        """
        async with self._parts.reading(owner) as transaction:
            consent = await transaction.consents.get(consent_id, revoked=revoked)
        if consent is None:
            raise not_found("consent", consent_id)
        return consent

    async def list(
        self, owner: Owner, *, after: str | None, limit: int, revoked: bool = False
    ) -> Sequence[VoiceConsent]:
        """Return consents in the order of their IDs.

        Args:
            owner: The tenant.
            after: ID of the consent after which to start.
            limit: Maximum number of consents.
            revoked: Whether to include revoked consents.
        """
        async with self._parts.reading(owner) as transaction:
            return await transaction.consents.list(after=after, limit=limit, revoked=revoked)

    async def rename(self, owner: Owner, consent_id: str, name: str) -> VoiceConsent:
        """Rename a consent.

        Raises:
            ApiError: 404.
        """
        async with self._parts.writing(owner) as transaction:
            consent = await transaction.consents.get(consent_id)
            if consent is None:
                raise not_found("consent", consent_id)
            consent.name = name
            await transaction.log("consent.renamed", consent.id, {"name": name})
        return consent

    async def revoke(self, owner: Owner, consent_id: str) -> VoiceConsent:
        """Revoke a consent: its voices stop working, and their recordings and embeddings are erased.

        The consent itself is kept as evidence, with the time of revocation.

        Raises:
            ApiError: 404.
        """
        embeddings: list[tuple[str, str]] = []
        async with self._parts.writing(owner) as transaction:
            if (consent := await transaction.consents.lock(consent_id)) is None:
                raise not_found("consent", consent_id)
            await transaction.consents.revoke(consent)
            await transaction.log("consent.revoked", consent.id, {})
            for found in await transaction.voices.of_consent(consent.id):
                voice = await transaction.voices.lock(found.id)
                if voice is None or voice.consent_id != consent.id:
                    continue  # deleted, or given another consent, since it was found
                embeddings += await transaction.prepared(voice)
                await transaction.embeddings.stop(voice.id)
                for sample in await transaction.samples.list(voice.id):
                    await transaction.samples.delete(sample)
                await transaction.doom([voice_prefix(owner.org_id, voice.id)])
                voice.state, voice.reason, voice.report = VoiceState.REVOKED, WITHDRAWN, {}
                touch(voice)
                await transaction.log("voice.revoked", voice.id, {"consent": consent.id})
        self._parts.changed()
        await self._parts.forget(embeddings)
        return consent
