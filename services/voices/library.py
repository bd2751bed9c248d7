"""The voices of the tenants: making, changing, and taking them back. Every change is in the audit log."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from services.config import QuotaLimits, Settings
from services.errors import ApiError, not_found
from services.gate import DatabaseGate
from services.tenancy.origin import Origin
from services.voices.errors import over_quota
from services.voices.intake import Described, Intake
from services.voices.shapes import voice_shape
from services.voices.standing import renew
from storage.columns import new_id
from storage.errors import OverQuota
from storage.objects.keys import voice_prefix
from storage.repositories.consents import ConsentRepository
from storage.repositories.doomed import DoomedObjects
from storage.repositories.embeddings import EmbeddingRepository
from storage.repositories.samples import SampleRepository, keys_of
from storage.repositories.stored import make_room
from storage.repositories.voices import VoiceRepository, touch
from storage.tables import AudioSample, VoiceProfile, VoiceState

MOST_ALIASES: Final = 100
"""Other names of one voice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceFields:
    """What a client says of a voice. ``None`` leaves it as it is."""

    name: str | None = None
    language: str | None = None
    description: str | None = None
    labels: Mapping[str, str] | None = None
    consent_id: str | None = None
    aliases: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose voices are meant, and who asks.

    Attributes:
        org_id: The tenant.
        limits: What it may have.
        origin: For the audit log.
    """

    org_id: str
    limits: QuotaLimits
    origin: Origin


class VoiceLibrary:
    """Makes, changes and removes voices.

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

    def wake(self) -> None:
        """Have what is to be prepared or erased seen to at once."""
        self._changed()

    async def create(
        self, owner: Owner, fields: VoiceFields, uploads: Sequence[Described] = ()
    ) -> VoiceProfile:
        """Make a voice, with samples if there are any: all of it, or nothing.

        Raises:
            ApiError: 400 for an upload, 404 for the consent, 429.
            Conflict: The name is taken.
        """
        voice_id = new_id("voice")
        if uploads:
            self._check_new([], [upload.upload.sha256 for upload in uploads])
            await self.check(owner, fields)
        engines = await self._cloning()
        async with self._taken(owner, voice_id, uploads) as samples, writing(self._gate) as session:
            voice = await self.insert(session, owner, voice_id, fields)
            await self.keep(session, owner, voice, samples)
            await renew(session, voice, self._settings, engines)
        return voice

    async def check(self, owner: Owner, fields: VoiceFields) -> None:
        """Whether a voice could be made: better told now than when its recordings were examined.

        Raises:
            ApiError: 404 for the consent, 429.
            Conflict: The name is taken.
        """
        try:
            async with self._gate.read() as session:
                consents = ConsentRepository(session, owner.org_id)
                if fields.consent_id is not None and await consents.get(fields.consent_id) is None:
                    raise not_found("consent", fields.consent_id)
                voices = VoiceRepository(session, owner.org_id)
                await voices.check_new(fields.name or "", most=owner.limits.voices)
        except OverQuota as error:
            raise over_quota(error) from error

    async def insert(
        self, session: AsyncSession, owner: Owner, voice_id: str, fields: VoiceFields
    ) -> VoiceProfile:
        """Make a voice without samples, in a transaction of the caller's.

        Raises:
            ApiError: 404 for the consent.
            Conflict: The name or an alias is taken.
            OverQuota: The tenant has as many voices as it may.
        """
        consent_id = await self._consent(session, owner, fields.consent_id)
        voices = VoiceRepository(session, owner.org_id)
        voice = await voices.create(
            fields.name or "",
            voice_id=voice_id,
            language=fields.language,
            description=fields.description or "",
            labels=fields.labels,
            consent_id=consent_id,
            most=owner.limits.voices,
        )
        await voices.set_aliases(fields.aliases or (), voice)
        await log(session, owner, "voice.created", voice.id, {"name": voice.name})
        return voice

    async def keep(
        self, session: AsyncSession, owner: Owner, voice: VoiceProfile, samples: Sequence[AudioSample]
    ) -> None:
        """Make samples that were taken rows of a voice, in a transaction of the caller's.

        Raises:
            ApiError: 400 for too many, 409 for a recording it has already, 503.
            OverQuota: The tenant keeps as much as it may.
        """
        repository = SampleRepository(session, owner.org_id)
        known = await repository.list(voice.id)
        self._check_new([sample.sha256 for sample in known], [sample.sha256 for sample in samples])
        await make_room(
            session, owner.org_id, sum(sample.size for sample in samples), most=owner.limits.stored_bytes
        )
        await self._intake.claim(session, [key for sample in samples for key in keys_of(sample)])
        for sample in samples:
            await repository.add(sample)
            await log(session, owner, "sample.added", sample.id, {"voice": voice.id})

    async def get(self, owner: Owner, voice_id: str) -> VoiceProfile:
        """A voice.

        Raises:
            ApiError: 404, whether it is another tenant's or nobody's.
        """
        async with self._gate.read() as session:
            return await _found(VoiceRepository(session, owner.org_id), voice_id)

    async def show(self, org_id: str, voices: Sequence[VoiceProfile]) -> list[dict[str, Any]]:
        """Voices in this server's own shape."""
        ids = [voice.id for voice in voices]
        async with self._gate.read() as session:
            rows = await EmbeddingRepository(session, org_id).list(ids)
            aliases = await VoiceRepository(session, org_id).aliases(ids)
            counts = await SampleRepository(session, org_id).counts(ids)
        return [voice_shape(voice, rows, aliases, counts.get(voice.id, 0)) for voice in voices]

    async def change(self, owner: Owner, voice_id: str, fields: VoiceFields) -> VoiceProfile:
        """Change what is given.

        Raises:
            ApiError: 400, 404.
            Conflict: A name or alias is taken.
        """
        engines = await self._cloning()
        async with writing(self._gate) as session:
            consent_id = await self._consent(session, owner, fields.consent_id)
            voices = VoiceRepository(session, owner.org_id)
            voice = await locked(voices, voice_id)
            if fields.name is not None:
                await voices.rename(voice, fields.name)
            if fields.language is not None:
                voice.language = fields.language
            if fields.description is not None:
                voice.description = fields.description
            if fields.labels is not None:
                voice.labels = dict(fields.labels)
            if fields.aliases is not None:
                await voices.set_aliases(fields.aliases, voice)
            touch(voice)
            if consent_id is not None:
                _not_revoked(voice)
                voice.consent_id = consent_id
                await renew(session, voice, self._settings, engines)
            told = [name for name in VoiceFields.__slots__ if getattr(fields, name) is not None]
            await log(session, owner, "voice.changed", voice.id, {"fields": told})
        self._changed()
        return voice

    async def delete(self, owner: Owner, voice_id: str) -> None:
        """Remove a voice with its recordings and all that was prepared from them.

        Raises:
            ApiError: 404.
        """
        async with writing(self._gate) as session:
            voices = VoiceRepository(session, owner.org_id)
            voice = await locked(voices, voice_id)
            rows = await EmbeddingRepository(session, owner.org_id).list([voice.id])
            embeddings = [(row.engine, row.embedding_id) for row in rows if row.embedding_id is not None]
            await voices.delete(voice)
            await DoomedObjects(session).doom([voice_prefix(owner.org_id, voice.id)])
            await log(session, owner, "voice.deleted", voice.id, {"name": voice.name})
        self._changed()
        await self._forget(embeddings)

    async def add_samples(
        self, owner: Owner, voice_id: str, uploads: Sequence[Described]
    ) -> tuple[VoiceProfile, list[AudioSample]]:
        """Add recordings to a voice: all of them, or none; it is prepared anew.

        Raises:
            ApiError: 400, 404, 409 for a recording it has already, 429, 503.
        """
        async with self._gate.read() as session:
            voice = await _found(VoiceRepository(session, owner.org_id), voice_id)
            _not_revoked(voice)
            known = await SampleRepository(session, owner.org_id).list(voice.id)
            self._check_new([sample.sha256 for sample in known], [upload.upload.sha256 for upload in uploads])
        engines = await self._cloning()
        async with self._taken(owner, voice_id, uploads) as samples, writing(self._gate) as session:
            voice = await locked(VoiceRepository(session, owner.org_id), voice_id)
            _not_revoked(voice)
            await self.keep(session, owner, voice, samples)
            await renew(session, voice, self._settings, engines)
        return voice, samples

    async def delete_sample(self, owner: Owner, voice_id: str, sample_id: str) -> None:
        """Remove a recording; the voice is prepared anew from the others.

        Raises:
            ApiError: 404.
        """
        engines = await self._cloning()
        async with writing(self._gate) as session:
            voice = await locked(VoiceRepository(session, owner.org_id), voice_id)
            samples = SampleRepository(session, owner.org_id)
            if (sample := await samples.get(voice.id, sample_id)) is None:
                raise not_found("sample", sample_id)
            await samples.delete(sample)
            await DoomedObjects(session).doom(keys_of(sample))
            await renew(session, voice, self._settings, engines)
            await log(session, owner, "sample.deleted", sample.id, {"voice": voice.id})
        self._changed()

    async def sample(self, owner: Owner, voice_id: str, sample_id: str) -> AudioSample:
        """A recording of a voice.

        Raises:
            ApiError: 404.
        """
        async with self._gate.read() as session:
            voice = await _found(VoiceRepository(session, owner.org_id), voice_id)
            if (sample := await SampleRepository(session, owner.org_id).get(voice.id, sample_id)) is None:
                raise not_found("sample", sample_id)
            return sample

    async def prepare(self, owner: Owner, voice_id: str) -> VoiceProfile:
        """Have a voice prepared again, whatever became of it before.

        Raises:
            ApiError: 404, 409 for a voice without recordings.
        """
        engines = await self._cloning()
        async with writing(self._gate) as session:
            voice = await locked(VoiceRepository(session, owner.org_id), voice_id)
            _not_revoked(voice)
            samples = await SampleRepository(session, owner.org_id).list(voice.id)
            if not any(sample.audio_key for sample in samples):
                message = "The voice has no recordings to prepare it from."
                raise ApiError(409, message, code="no_samples", headers={"x-should-retry": "false"})
            await renew(session, voice, self._settings, engines)
            await log(session, owner, "voice.prepared_again", voice.id, {})
        self._changed()
        return voice

    async def set_alias(self, owner: Owner, alias: str, voice_id: str) -> VoiceProfile:
        """Make a name, such as one of OpenAI's, mean a voice of the tenant's.

        Raises:
            ApiError: 404.
            Conflict: It is another voice's name.
        """
        async with writing(self._gate) as session:
            voices = VoiceRepository(session, owner.org_id)
            voice = await locked(voices, voice_id)
            await voices.set_alias(alias, voice)
            _bounded(await voices.aliases([voice.id]))
            await log(session, owner, "voice.aliased", voice.id, {"alias": alias})
        return voice

    async def drop_alias(self, owner: Owner, alias: str, voice_id: str) -> None:
        """Make a name of a voice mean what it means to everybody.

        Raises:
            ApiError: 404.
        """
        async with writing(self._gate) as session:
            voices = VoiceRepository(session, owner.org_id)
            voice = await locked(voices, voice_id)
            if not await voices.drop_alias(alias, voice):
                raise not_found("alias", alias)
            await log(session, owner, "voice.unaliased", voice.id, {"alias": alias})

    @asynccontextmanager
    async def _taken(
        self, owner: Owner, voice_id: str, uploads: Sequence[Described]
    ) -> AsyncGenerator[list[AudioSample], None]:
        """Samples of uploads; their objects go again if the block does not make rows of them."""
        try:
            async with self._intake.discarding() as keys:
                samples = await self._intake.take(owner.org_id, voice_id, uploads)
                keys.extend(key for sample in samples for key in keys_of(sample))
                yield samples
        finally:
            self._changed()

    def _check_new(self, known: Sequence[str], new: Sequence[str]) -> None:
        most = self._settings.limits.max_samples_per_voice
        if len(known) + len(new) > most:
            raise ApiError(
                400, f"A voice can have at most {most} samples.", param="samples", code="too_many_samples"
            )
        if len({*known, *new}) < len(known) + len(new):
            message = "The voice already has this recording."
            headers = {"x-should-retry": "false"}
            raise ApiError(409, message, param="samples", code="duplicate_sample", headers=headers)

    @staticmethod
    async def _consent(session: AsyncSession, owner: Owner, consent_id: str | None) -> str | None:
        if consent_id is None:
            return None
        # Should it be withdrawn just now, then before or after: a voice that it allows is always found.
        if await ConsentRepository(session, owner.org_id).lock(consent_id) is None:
            raise not_found("consent", consent_id)
        return consent_id


@asynccontextmanager
async def writing(gate: DatabaseGate) -> AsyncGenerator[AsyncSession, None]:
    """A transaction that writes what a tenant may have only so much of.

    Raises:
        ApiError: 429, it has as much as it may.
        StorageUnavailable: The database is away.
    """
    try:
        async with gate.write() as session:
            yield session
    except OverQuota as error:
        raise over_quota(error) from error


async def log(
    session: AsyncSession, owner: Owner, action: str, target: str, details: Mapping[str, Any]
) -> None:
    """Write down who did what, in the transaction that does it."""
    await owner.origin.log(session, owner.org_id, action, target=target, details=details)


async def _found(voices: VoiceRepository, voice_id: str) -> VoiceProfile:
    if (voice := await voices.get(voice_id)) is None:
        raise not_found("voice", voice_id)
    return voice


async def locked(voices: VoiceRepository, voice_id: str) -> VoiceProfile:
    """A voice that nobody else changes until the transaction ends.

    Raises:
        ApiError: 404, whether it is another tenant's or nobody's.
    """
    if (voice := await voices.lock(voice_id)) is None:
        raise not_found("voice", voice_id)
    return voice


def _not_revoked(voice: VoiceProfile) -> None:
    if voice.state == VoiceState.REVOKED:
        message = "The voice's consent was withdrawn: create a new voice."
        raise ApiError(409, message, code="voice_revoked", headers={"x-should-retry": "false"})


def _bounded(aliases: Sequence[object]) -> None:
    if len(aliases) > MOST_ALIASES:
        message = f"A voice can have at most {MOST_ALIASES} aliases."
        raise ApiError(400, message, param="aliases", code="too_many_aliases")
