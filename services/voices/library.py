"""Creating, changing and deleting tenants' voices. Every change is recorded in the audit log."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from services.errors import ApiError, not_found
from services.voices.intake import Described
from services.voices.shapes import voice_shape
from services.voices.transaction import Owner, VoiceParts, VoiceTransaction
from storage.columns import new_id
from storage.objects.keys import voice_prefix
from storage.repositories.embeddings import EmbeddingRepository
from storage.repositories.samples import SampleRepository, keys_of
from storage.repositories.voices import VoiceRepository, touch
from storage.tables import AudioSample, VoiceProfile, VoiceState

MOST_ALIASES: Final = 100
"""Maximum number of aliases of a voice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceFields:
    """Fields of a voice to set; ``None`` leaves a field unchanged."""

    name: str | None = None
    language: str | None = None
    description: str | None = None
    labels: Mapping[str, str] | None = None
    consent_id: str | None = None
    aliases: Sequence[str] | None = None


class VoiceLibrary:
    """Creates, changes and deletes voices.

    Args:
        parts: The shared dependencies.
    """

    def __init__(self, parts: VoiceParts) -> None:
        self._parts = parts

    async def create(
        self, owner: Owner, fields: VoiceFields, uploads: Sequence[Described] = ()
    ) -> VoiceProfile:
        """Create a voice with its samples, if any. If anything fails, nothing is created.

        Raises:
            ApiError: 400 for an unusable upload, 404 for an unknown consent, 409 for duplicate recordings,
                429, 503.
            Conflict: The name or an alias is taken.
        """
        voice_id = new_id("voice")
        if uploads:
            self._check_new([], [upload.upload.sha256 for upload in uploads])
            await self.check(owner, fields)
        engines = await self._parts.cloning()
        async with (
            self._taken(owner, voice_id, uploads) as samples,
            self._parts.writing(owner) as transaction,
        ):
            voice = await self.insert(transaction, voice_id, fields)
            await self.keep(transaction, voice, samples)
            await transaction.renew(voice, engines)
        return voice

    async def check(self, owner: Owner, fields: VoiceFields) -> None:
        """Check that a voice can be created, before its recordings are examined.

        Raises:
            ApiError: 404 for an unknown consent, 429.
            Conflict: The name is taken.
        """
        async with self._parts.reading(owner) as transaction:
            consent_id = fields.consent_id
            if consent_id is not None and await transaction.consents.get(consent_id) is None:
                raise not_found("consent", consent_id)
            await transaction.voices.check_new(fields.name or "", most=owner.limits.voices)

    async def insert(self, transaction: VoiceTransaction, voice_id: str, fields: VoiceFields) -> VoiceProfile:
        """Create a voice without samples, in the caller's transaction.

        Raises:
            ApiError: 404 for an unknown consent.
            Conflict: The name or an alias is taken.
            OverQuota: The tenant's limit of voices is reached.
        """
        consent_id = await self._consent(transaction, fields.consent_id)
        voice = await transaction.voices.create(
            fields.name or "",
            voice_id=voice_id,
            language=fields.language,
            description=fields.description or "",
            labels=fields.labels,
            consent_id=consent_id,
            most=transaction.owner.limits.voices,
        )
        await transaction.voices.set_aliases(fields.aliases or (), voice)
        await transaction.log("voice.created", voice.id, {"name": voice.name})
        return voice

    async def keep(
        self, transaction: VoiceTransaction, voice: VoiceProfile, samples: Sequence[AudioSample]
    ) -> None:
        """Add samples, whose objects have been put, to a voice, in the caller's transaction.

        Raises:
            ApiError: 400 for too many samples, 409 for a recording that the voice already has, 503.
            OverQuota: The tenant's storage limit would be exceeded.
        """
        repository = transaction.samples
        known = await repository.list(voice.id)
        self._check_new([sample.sha256 for sample in known], [sample.sha256 for sample in samples])
        await transaction.make_room(sum(sample.size for sample in samples))
        await self._parts.intake.claim(
            transaction.session, [key for sample in samples for key in keys_of(sample)]
        )
        for sample in samples:
            await repository.add(sample)
            await transaction.log("sample.added", sample.id, {"voice": voice.id})

    async def get(self, owner: Owner, voice_id: str) -> VoiceProfile:
        """Return a voice.

        Raises:
            ApiError: 404, also for voices of other tenants.
        """
        async with self._parts.reading(owner) as transaction:
            return await transaction.voice(voice_id)

    async def show(self, org_id: str, voices: Sequence[VoiceProfile]) -> list[dict[str, Any]]:
        """Return voices in this server's own API format."""
        ids = [voice.id for voice in voices]
        async with self._parts.gate.read() as session:
            rows = await EmbeddingRepository(session, org_id).list(ids)
            aliases = await VoiceRepository(session, org_id).aliases(ids)
            counts = await SampleRepository(session, org_id).counts(ids)
        return [voice_shape(voice, rows, aliases, counts.get(voice.id, 0)) for voice in voices]

    async def change(self, owner: Owner, voice_id: str, fields: VoiceFields) -> VoiceProfile:
        """Change the given fields of a voice.

        Raises:
            ApiError: 400, 404, 409 for a consent for a revoked voice.
            Conflict: The name or an alias is taken.
        """
        engines = await self._parts.cloning()
        async with self._parts.writing(owner) as transaction:
            consent_id = await self._consent(transaction, fields.consent_id)
            voice = await transaction.locked(voice_id)
            if fields.name is not None:
                await transaction.voices.rename(voice, fields.name)
            if fields.language is not None:
                voice.language = fields.language
            if fields.description is not None:
                voice.description = fields.description
            if fields.labels is not None:
                voice.labels = dict(fields.labels)
            if fields.aliases is not None:
                await transaction.voices.set_aliases(fields.aliases, voice)
            touch(voice)
            if consent_id is not None:
                _not_revoked(voice)
                voice.consent_id = consent_id
                await transaction.renew(voice, engines)
            told = [name for name in VoiceFields.__slots__ if getattr(fields, name) is not None]
            await transaction.log("voice.changed", voice.id, {"fields": told})
        self._parts.changed()
        return voice

    async def delete(self, owner: Owner, voice_id: str) -> None:
        """Delete a voice with its recordings and embeddings.

        Raises:
            ApiError: 404.
        """
        async with self._parts.writing(owner) as transaction:
            voice = await transaction.locked(voice_id)
            embeddings = await transaction.prepared(voice)
            await transaction.voices.delete(voice)
            await transaction.doom([voice_prefix(owner.org_id, voice.id)])
            await transaction.log("voice.deleted", voice.id, {"name": voice.name})
        self._parts.changed()
        await self._parts.forget(embeddings)

    async def add_samples(
        self, owner: Owner, voice_id: str, uploads: Sequence[Described]
    ) -> tuple[VoiceProfile, list[AudioSample]]:
        """Add recordings to a voice, all or none, and have it prepared again.

        Raises:
            ApiError: 400, 404, 409 for a recording that the voice already has or a revoked voice, 429, 503.
        """
        async with self._parts.reading(owner) as transaction:
            voice = await transaction.voice(voice_id)
            _not_revoked(voice)
            known = await transaction.samples.list(voice.id)
            self._check_new([sample.sha256 for sample in known], [upload.upload.sha256 for upload in uploads])
        engines = await self._parts.cloning()
        async with (
            self._taken(owner, voice_id, uploads) as samples,
            self._parts.writing(owner) as transaction,
        ):
            voice = await transaction.locked(voice_id)
            _not_revoked(voice)
            await self.keep(transaction, voice, samples)
            await transaction.renew(voice, engines)
        return voice, samples

    async def delete_sample(self, owner: Owner, voice_id: str, sample_id: str) -> None:
        """Delete a recording, and have the voice prepared again from the others.

        Raises:
            ApiError: 404.
        """
        engines = await self._parts.cloning()
        async with self._parts.writing(owner) as transaction:
            voice = await transaction.locked(voice_id)
            sample = await transaction.sample(voice, sample_id)
            await transaction.samples.delete(sample)
            await transaction.doom(keys_of(sample))
            await transaction.renew(voice, engines)
            await transaction.log("sample.deleted", sample.id, {"voice": voice.id})
        self._parts.changed()

    async def sample(self, owner: Owner, voice_id: str, sample_id: str) -> AudioSample:
        """Return a recording of a voice.

        Raises:
            ApiError: 404.
        """
        async with self._parts.reading(owner) as transaction:
            voice = await transaction.voice(voice_id)
            return await transaction.sample(voice, sample_id)

    async def prepare(self, owner: Owner, voice_id: str) -> VoiceProfile:
        """Have a voice prepared again, even if it is ready or has failed.

        Raises:
            ApiError: 404, 409 for a voice without recordings or a revoked one.
        """
        engines = await self._parts.cloning()
        async with self._parts.writing(owner) as transaction:
            voice = await transaction.locked(voice_id)
            _not_revoked(voice)
            samples = await transaction.samples.list(voice.id)
            if not any(sample.audio_key for sample in samples):
                message = "The voice has no recordings to prepare it from."
                raise ApiError(409, message, code="no_samples", headers={"x-should-retry": "false"})
            await transaction.renew(voice, engines)
            await transaction.log("voice.prepared_again", voice.id, {})
        self._parts.changed()
        return voice

    async def set_alias(self, owner: Owner, alias: str, voice_id: str) -> VoiceProfile:
        """Add an alias, such as the name of one of OpenAI's voices, to a tenant's voice.

        Raises:
            ApiError: 400 for too many aliases, 404.
            Conflict: Another voice has the name.
        """
        async with self._parts.writing(owner) as transaction:
            voice = await transaction.locked(voice_id)
            await transaction.voices.set_alias(alias, voice)
            _bounded(await transaction.voices.aliases([voice.id]))
            await transaction.log("voice.aliased", voice.id, {"alias": alias})
        return voice

    async def drop_alias(self, owner: Owner, alias: str, voice_id: str) -> None:
        """Remove an alias of a voice, so that the name has its general meaning again.

        Raises:
            ApiError: 404.
        """
        async with self._parts.writing(owner) as transaction:
            voice = await transaction.locked(voice_id)
            if not await transaction.voices.drop_alias(alias, voice):
                raise not_found("alias", alias)
            await transaction.log("voice.unaliased", voice.id, {"alias": alias})

    @asynccontextmanager
    async def _taken(
        self, owner: Owner, voice_id: str, uploads: Sequence[Described]
    ) -> AsyncGenerator[list[AudioSample], None]:
        """Examine uploads and yield their samples; if the block fails, their objects are deleted."""
        async with self._parts.discarding() as keys:
            samples = await self._parts.intake.take(owner.org_id, voice_id, uploads)
            keys.extend(key for sample in samples for key in keys_of(sample))
            yield samples

    def _check_new(self, known: Sequence[str], new: Sequence[str]) -> None:
        most = self._parts.settings.limits.max_samples_per_voice
        if len(known) + len(new) > most:
            raise ApiError(
                400, f"A voice can have at most {most} samples.", param="samples", code="too_many_samples"
            )
        if len({*known, *new}) < len(known) + len(new):
            message = "The voice already has this recording."
            headers = {"x-should-retry": "false"}
            raise ApiError(409, message, param="samples", code="duplicate_sample", headers=headers)

    @staticmethod
    async def _consent(transaction: VoiceTransaction, consent_id: str | None) -> str | None:
        if consent_id is None:
            return None
        # The lock orders this with a concurrent revocation, which then finds all voices of the consent.
        if await transaction.consents.lock(consent_id) is None:
            raise not_found("consent", consent_id)
        return consent_id


def _not_revoked(voice: VoiceProfile) -> None:
    if voice.state == VoiceState.REVOKED:
        message = "The voice's consent was withdrawn: create a new voice."
        raise ApiError(409, message, code="voice_revoked", headers={"x-should-retry": "false"})


def _bounded(aliases: Sequence[object]) -> None:
    if len(aliases) > MOST_ALIASES:
        message = f"A voice can have at most {MOST_ALIASES} aliases."
        raise ApiError(400, message, param="aliases", code="too_many_aliases")
