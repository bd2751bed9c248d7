"""Consents: given, kept as evidence, withdrawn with everything that followed from them."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from services.config import Settings
from services.errors import not_found
from services.gate import DatabaseGate
from services.uploads import Upload
from services.voices.bundle import ConsentEntry
from services.voices.intake import Intake, content_type
from services.voices.library import Owner, locked, log, writing
from services.voices.standing import renew
from storage.columns import new_id, now
from storage.objects.keys import consent_key, voice_prefix
from storage.repositories.consents import ConsentRepository
from storage.repositories.doomed import DoomedObjects
from storage.repositories.embeddings import EmbeddingRepository
from storage.repositories.samples import SampleRepository
from storage.repositories.stored import make_room
from storage.repositories.voices import VoiceRepository, touch
from storage.tables import VoiceConsent, VoiceState

WITHDRAWN: Final = "Its consent was withdrawn."


class Consents:
    """Keeps consents.

    Args:
        gate: The database.
        settings: The settings.
        intake: Takes recordings in.
        cloning: Gives the names of the engines that clone.
        changed: Called when there is something to prepare or to erase.
        forget: Has the engines forget embeddings, as far as they can be reached.
    """

    def __init__(
        self,
        gate: DatabaseGate,
        settings: Settings,
        intake: Intake,
        *,
        cloning: Callable[[], Awaitable[Collection[str]]],
        changed: Callable[[], None],
        forget: Callable[[Collection[tuple[str, str]]], Awaitable[None]],
    ) -> None:
        self._gate = gate
        self._settings = settings
        self._intake = intake
        self._cloning = cloning
        self._changed = changed
        self._forget = forget

    async def record(self, owner: Owner, upload: Upload, *, name: str, language: str | None) -> VoiceConsent:
        """Keep a recording in which somebody consents.

        Args:
            owner: The tenant; where the request came from is part of the evidence.
            upload: The recording.
            name: What the tenant calls the consent.
            language: BCP-47 tag of what is said.

        Raises:
            ApiError: 400 for the upload, 429, 503.
        """
        statement = {"address": owner.origin.address, "actor": owner.origin.actor}
        try:
            async with self._intake.discarding() as keys:
                consent = await self._put(owner, upload, name, language, statement)
                keys.append(consent.key or "")
                async with writing(self._gate) as session:
                    await self.keep(session, owner, consent)
        except BaseException:
            self._changed()
            raise
        return consent

    async def arrived(self, owner: Owner, entry: ConsentEntry, recording: Upload | None) -> VoiceConsent:
        """What a consent is that came with a voice from another server; :meth:`keep` makes a row of it.

        Raises:
            ApiError: 400 for the recording, 503.
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

    async def keep(self, session: AsyncSession, owner: Owner, consent: VoiceConsent) -> None:
        """Make a consent that is new a row, in a transaction of the caller's.

        Raises:
            ApiError: 503, its recording is not there any more.
            OverQuota: The tenant keeps as much as it may.
        """
        if consent.key is not None:
            await make_room(session, owner.org_id, consent.size, most=owner.limits.stored_bytes)
            await self._intake.claim(session, [consent.key])
        await ConsentRepository(session, owner.org_id).add(consent)
        await log(session, owner, "consent.given", consent.id, {"kind": consent.kind})

    async def attest(
        self, owner: Owner, voice_id: str, *, name: str, text: str, language: str | None
    ) -> VoiceConsent:
        """Keep somebody's word that they consent, and have it allow a voice.

        Args:
            owner: The tenant; where the request came from is part of the evidence.
            voice_id: The voice.
            name: Who consents.
            text: Their words.
            language: BCP-47 tag of the words.

        Raises:
            ApiError: 404.
        """
        engines = await self._cloning()
        origin = owner.origin
        said = {"name": name, "text": text, "at": now().isoformat()}
        async with self._gate.write() as session:
            voice = await locked(VoiceRepository(session, owner.org_id), voice_id)
            consent = VoiceConsent(
                org_id=owner.org_id,
                kind="attestation",
                name=name,
                language=language,
                statement={**said, "address": origin.address, "actor": origin.actor},
            )
            await self.keep(session, owner, consent)
            if voice.state != VoiceState.REVOKED:
                voice.consent_id = consent.id
                await renew(session, voice, self._settings, engines)
        self._changed()
        return consent

    async def _put(
        self, owner: Owner, upload: Upload, name: str, language: str | None, statement: Mapping[str, Any]
    ) -> VoiceConsent:
        """Examine a recording and put it; no row points to it yet."""
        report = await self._intake.examine(
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
        async with self._intake.discarding() as keys:
            keys.append(consent.key or "")
            await self._intake.put(consent.key or "", upload.path, content_type(report))
        return consent

    async def get(self, owner: Owner, consent_id: str, *, revoked: bool = False) -> VoiceConsent:
        """A consent.

        Raises:
            ApiError: 404.
        """
        async with self._gate.read() as session:
            consent = await ConsentRepository(session, owner.org_id).get(consent_id, revoked=revoked)
        if consent is None:
            raise not_found("consent", consent_id)
        return consent

    async def list(
        self, owner: Owner, *, after: str | None, limit: int, revoked: bool = False
    ) -> Sequence[VoiceConsent]:
        """Consents in the order of their ids."""
        async with self._gate.read() as session:
            return await ConsentRepository(session, owner.org_id).list(
                after=after, limit=limit, revoked=revoked
            )

    async def rename(self, owner: Owner, consent_id: str, name: str) -> VoiceConsent:
        """Give a consent another name.

        Raises:
            ApiError: 404.
        """
        async with self._gate.write() as session:
            consent = await ConsentRepository(session, owner.org_id).get(consent_id)
            if consent is None:
                raise not_found("consent", consent_id)
            consent.name = name
            await log(session, owner, "consent.renamed", consent.id, {"name": name})
        return consent

    async def revoke(self, owner: Owner, consent_id: str) -> VoiceConsent:
        """Withdraw a consent: its voices never speak again, their recordings and embeddings are erased.

        The consent itself stays, with when it was withdrawn: it is evidence.

        Raises:
            ApiError: 404.
        """
        embeddings: list[tuple[str, str]] = []
        async with self._gate.write() as session:
            consents = ConsentRepository(session, owner.org_id)
            if (consent := await consents.lock(consent_id)) is None:
                raise not_found("consent", consent_id)
            await consents.revoke(consent)
            await log(session, owner, "consent.revoked", consent.id, {})
            voices = VoiceRepository(session, owner.org_id)
            prepared = EmbeddingRepository(session, owner.org_id)
            for found in await voices.of_consent(consent.id):
                voice = await voices.lock(found.id)
                if voice is None or voice.consent_id != consent.id:
                    continue  # deleted, or allowed by another, since it was found
                rows = await prepared.list([voice.id])
                embeddings += [(row.engine, row.embedding_id) for row in rows if row.embedding_id is not None]
                await prepared.stop(voice.id)
                samples = SampleRepository(session, owner.org_id)
                for sample in await samples.list(voice.id):
                    await samples.delete(sample)
                await DoomedObjects(session).doom([voice_prefix(owner.org_id, voice.id)])
                voice.state, voice.reason, voice.report = VoiceState.REVOKED, WITHDRAWN, {}
                touch(voice)
                await log(session, owner, "voice.revoked", voice.id, {"consent": consent.id})
        self._changed()
        await self._forget(embeddings)
        return consent
