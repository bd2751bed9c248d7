"""Exporting and importing voices as bundles."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from engines.embedding import BrokenEmbedding, unpack
from services.errors import ApiError, invalid
from services.samples.report import SampleReport
from services.tasks import in_thread
from services.uploads import Upload, temporary_folder
from services.voices.bundle import (
    BadBundle,
    Manifest,
    read_bundle,
    unpacked,
    write_bundle,
)
from services.voices.consents import Consents
from services.voices.gathering import Gathered
from services.voices.intake import Described
from services.voices.library import VoiceFields, VoiceLibrary
from services.voices.standing import restate
from services.voices.transaction import Owner, VoiceParts, VoiceTransaction
from storage.columns import new_id
from storage.objects.contract import ObjectStore
from storage.repositories.embeddings import Prepared
from storage.repositories.samples import keys_of
from storage.tables import AudioSample, VoiceProfile, VoiceState

EXPANSION: Final = 8
"""Maximum size of a bundle's unpacked files, relative to the limit of an upload.

Canonical recordings are larger than compressed uploads.
"""


class Transfer:
    """Exports and imports voices.

    Args:
        parts: The shared dependencies.
        objects: The object store.
        library: Creates voices.
        consents: Records consents.
        models: Returns engine → model of the engines that clone.
    """

    def __init__(
        self,
        parts: VoiceParts,
        objects: ObjectStore,
        *,
        library: VoiceLibrary,
        consents: Consents,
        models: Callable[[], Awaitable[Mapping[str, str]]],
    ) -> None:
        self._parts = parts
        self._objects = objects
        self._library = library
        self._consents = consents
        self._models = models

    @asynccontextmanager
    async def export(self, owner: Owner, voice_id: str) -> AsyncGenerator[Path, None]:
        """Yield the path of a voice's bundle, which is deleted at the end of the block.

        Raises:
            ApiError: 404, 409 for a voice whose consent was revoked.
            StorageError: The database or the object store is unavailable.
        """
        voice = await self._library.get(owner, voice_id)
        if voice.state == VoiceState.REVOKED:
            headers = {"x-should-retry": "false"}
            raise ApiError(409, "The voice's consent was withdrawn.", code="voice_revoked", headers=headers)
        async with self._parts.reading(owner) as transaction:
            samples = await transaction.samples.list(voice.id)
            rows = await transaction.embeddings.list([voice.id])
            aliases = await transaction.voices.aliases([voice.id])
            consent = None
            if voice.consent_id is not None:
                consent = await transaction.consents.get(voice.consent_id)
        with temporary_folder() as folder:
            gathered = Gathered(self._objects, folder)
            manifest = Manifest(
                format="awaaztwin-voice",
                version=1,
                name=voice.name,
                language=voice.language,
                description=voice.description,
                labels=voice.labels,
                aliases=tuple(alias.alias for alias in aliases),
                samples=tuple([await gathered.sample(index, sample) for index, sample in enumerate(samples)]),
                embeddings=tuple(
                    [
                        entry
                        for index, row in enumerate(rows)
                        if (entry := await gathered.embedding(index, row)) is not None
                    ]
                ),
                consent=None if consent is None else await gathered.consent(consent),
            )
            target = folder / "bundle.zip"
            await asyncio.to_thread(write_bundle, target, manifest, gathered.files)
            yield target

    async def import_(self, owner: Owner, upload: Upload, *, name: str | None) -> VoiceProfile:
        """Create a voice from a bundle. If anything fails, nothing is created.

        Recordings are examined like any upload; the bundle's reports on them are ignored. Prepared voices are
        adopted if this server has an engine of the same name and model; for other engines, the voice is
        prepared again.

        Args:
            owner: The tenant.
            upload: The bundle.
            name: Name of the voice; by default the one in the bundle.

        Raises:
            ApiError: 400 for an invalid bundle, 429, 503.
            Conflict: The name is taken.
        """
        most = self._parts.settings.limits.max_upload_bytes * EXPANSION
        with temporary_folder() as folder:
            try:
                manifest = await asyncio.to_thread(read_bundle, upload.path, folder, most=most)
            except BadBundle as error:
                raise invalid(f"{upload.filename}: {error}", "bundle", "bad_bundle") from error
            async with self._parts.discarding() as keys:
                return await self._bring_in(owner, manifest, folder, name, keys)

    async def _bring_in(
        self, owner: Owner, manifest: Manifest, folder: Path, name: str | None, keys: list[str]
    ) -> VoiceProfile:
        """Put a bundle's objects, adding their keys to ``keys``, and add all rows in one transaction."""
        voice_id = new_id("voice")
        embeddings = await self._embeddings(manifest, folder)
        erased = _erased(owner, voice_id, manifest)
        fields = await self._fields(owner, manifest, name)
        await self._library.check(owner, fields)
        engines = await self._models()
        consent = None
        if manifest.consent is not None:
            recording = _upload(folder, manifest.consent.recording, manifest)
            consent = await self._consents.arrived(owner, manifest.consent, recording)
            fields = replace(fields, consent_id=consent.id)
            keys.extend(filter(None, [consent.key]))
        samples = await self._parts.intake.take(owner.org_id, voice_id, _recordings(manifest, folder))
        keys.extend(key for sample in samples for key in keys_of(sample))
        prepared: dict[str, Prepared] = {}
        for engine, model, data in embeddings:
            prepared[engine] = await self._parts.intake.put_embedding(owner.org_id, voice_id, model, data)
            keys.append(prepared[engine].key)
        async with self._parts.writing(owner) as transaction:
            if consent is not None:
                await self._consents.keep(transaction, consent)
            voice = await self._library.insert(transaction, voice_id, fields)
            await self._library.keep(transaction, voice, [*samples, *erased])
            await transaction.renew(voice, ())
            if voice.state != VoiceState.FAILED:
                await self._keep_embeddings(transaction, voice, prepared)
                if samples and voice.reason is None:
                    await transaction.embeddings.want(voice, engines.keys() - prepared.keys())
                await restate(transaction.session, voice, self._parts.settings)
            await transaction.log("voice.imported", voice.id, {"name": voice.name})
        return voice

    async def _keep_embeddings(
        self, transaction: VoiceTransaction, voice: VoiceProfile, prepared: Mapping[str, Prepared]
    ) -> None:
        await transaction.make_room(sum(entry.size for entry in prepared.values()))
        await self._parts.intake.claim(transaction.session, [entry.key for entry in prepared.values()])
        for engine, entry in prepared.items():
            await transaction.embeddings.put_prepared(voice, engine, entry)

    async def _embeddings(self, manifest: Manifest, folder: Path) -> list[tuple[str, str, bytes]]:
        """Return engine, model and bytes of the prepared voices that can be adopted."""
        models = await self._models()
        adopted: list[tuple[str, str, bytes]] = []
        for entry in manifest.embeddings:
            if models.get(entry.engine) != entry.model:
                continue
            data = await asyncio.to_thread(unpacked(folder, entry.file).read_bytes)
            try:
                voice = await in_thread(unpack, data)
            except BrokenEmbedding as error:
                raise invalid(
                    f"A prepared voice in it is damaged: {error}.", "bundle", "bad_bundle"
                ) from error
            if voice.model != entry.model:
                raise invalid("A prepared voice in it belongs to another model.", "bundle", "bad_bundle")
            adopted.append((entry.engine, entry.model, data))
        return adopted

    async def _fields(self, owner: Owner, manifest: Manifest, name: str | None) -> VoiceFields:
        async with self._parts.reading(owner) as transaction:
            # Names that are taken on this server are left out.
            free = [alias for alias in manifest.aliases if not await transaction.voices.knows(alias)]
        return VoiceFields(
            name=name or manifest.name,
            language=manifest.language,
            description=manifest.description,
            labels=manifest.labels,
            aliases=free,
        )


def _upload(folder: Path, name: str | None, manifest: Manifest, filename: str = "recording") -> Upload | None:
    if name is None:
        return None
    entry = next(entry for entry in manifest.files if entry.name == name)
    return Upload(unpacked(folder, name), filename, entry.size, entry.sha256)


def _recordings(manifest: Manifest, folder: Path) -> list[Described]:
    recordings: list[Described] = []
    for entry in manifest.samples:
        upload = _upload(folder, entry.original or entry.audio, manifest, entry.filename)
        if upload is not None:
            recordings.append(Described(upload, entry.transcript, entry.language))
    return recordings


def _erased(owner: Owner, voice_id: str, manifest: Manifest) -> list[AudioSample]:
    """Return the samples whose recordings were no longer kept, without their files."""
    samples: list[AudioSample] = []
    for entry in manifest.samples:
        if entry.original is not None or entry.audio is not None:
            continue
        try:
            report = SampleReport.model_validate(entry.report)
        except ValidationError as error:
            raise invalid("The report of a recording in it is damaged.", "bundle", "bad_bundle") from error
        samples.append(
            AudioSample(
                id=new_id("sample"),
                org_id=owner.org_id,
                voice_id=voice_id,
                filename=entry.filename,
                content_type=entry.content_type,
                original_key=None,
                audio_key=None,
                sha256=entry.sha256,
                size=0,
                duration_ms=entry.duration_ms,
                transcript=entry.transcript,
                language=entry.language,
                report=report.model_dump(mode="json"),
            )
        )
    return samples
