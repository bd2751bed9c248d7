"""Turning uploads into samples: examining them, making them canonical and storing them.

A crash leaves no orphaned objects. Before an object is put, its key is scheduled for deletion in an hour; the
transaction that adds its row cancels the deletion.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from engines.embedding import MEDIA_TYPE
from services.config import LimitsConfig
from services.errors import ApiError
from services.gate import DatabaseGate
from services.metrics import Metrics
from services.samples.errors import BadSample
from services.samples.examine import Examiner, ExaminerBusy
from services.samples.limits import SampleLimits
from services.samples.report import SampleReport
from services.uploads import Upload, file_chunks
from services.voices.errors import bad_sample, busy
from services.voices.objects import single_chunk
from storage.columns import new_id, now
from storage.errors import StorageUnavailable
from storage.objects.contract import ObjectStore
from storage.objects.keys import embedding_key, sample_key
from storage.repositories.doomed import DoomedObjects
from storage.repositories.embeddings import Prepared
from storage.repositories.samples import keys_of
from storage.tables import AudioSample

UNCLAIMED: Final = timedelta(hours=1)
"""Time after which an object without a row is deleted; longer than any request takes."""

WAV: Final = "audio/wav"

CONTENT_TYPES: Final = {
    "aac": "audio/aac",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "mp4": "audio/mp4",
    "ogg": "audio/ogg",
    "wav": WAV,
    "webm": "audio/webm",
}
"""Detected container → media type; the client's media type is ignored."""


@dataclass(frozen=True, slots=True)
class Described:
    """An upload with the client's description.

    Attributes:
        upload: The file.
        transcript: The spoken words.
        language: BCP-47 tag of the spoken words.
    """

    upload: Upload
    transcript: str | None = None
    language: str | None = None


class Intake:
    """Examines and stores uploads.

    Args:
        gate: The database.
        objects: The object store.
        examiner: Examines recordings.
        limits: The limits, for uploads.
        metrics: The metrics, for examined samples.
    """

    def __init__(
        self,
        gate: DatabaseGate,
        objects: ObjectStore,
        examiner: Examiner,
        limits: LimitsConfig,
        metrics: Metrics,
    ) -> None:
        self._gate = gate
        self._objects = objects
        self._examiner = examiner
        self._metrics = metrics
        self._sample_limits = SampleLimits(
            max_bytes=limits.max_upload_bytes, max_seconds=limits.max_sample_seconds
        )

    async def take(self, org_id: str, voice_id: str, uploads: Sequence[Described]) -> list[AudioSample]:
        """Examine uploads and put their objects; all of them or none.

        Returns:
            Samples that are not in the database yet. Call :meth:`claim` in the transaction that adds them.

        Raises:
            ApiError: 400 for an unusable recording; 503 if too many recordings are being examined.
            StorageError: The object store or the database is unavailable.
        """
        taken: list[AudioSample] = []
        async with self.discarding() as keys:
            for described in uploads:
                # One after the other, since all requests share the examiner.
                sample = await self._one(org_id, voice_id, described)
                taken.append(sample)
                keys.extend(keys_of(sample))
        return taken

    async def examine(self, upload: Upload, target: Path, *, param: str) -> SampleReport:
        """Examine one upload, and write the canonical recording to ``target``.

        Args:
            upload: The upload.
            target: Path of the canonical recording.
            param: Name of the request's field, for errors.

        Raises:
            ApiError: 400, 503.
        """
        try:
            report = await self._examiner.examine(upload.path, target, limits=self._sample_limits)
        except BadSample as error:
            self._metrics.samples.labels("refused").inc()
            raise bad_sample(error, param, upload.filename) from error
        except ExaminerBusy as error:
            raise busy() from error
        self._metrics.samples.labels("taken").inc()
        return report

    async def put(self, key: str, source: Path, content_type: str) -> int:
        """Put a file that has no row yet into the object store; return its size in bytes."""
        await self._doom_later(key)
        size = (await asyncio.to_thread(source.stat)).st_size
        chunks = file_chunks(source)
        try:
            info = await self._objects.put(key, chunks, content_type=content_type, max_bytes=size)
        finally:
            await chunks.aclose()
        return info.size

    @staticmethod
    async def claim(session: AsyncSession, keys: Iterable[str]) -> None:
        """Cancel the scheduled deletion of objects, in the transaction that adds their rows.

        Raises:
            ApiError: 503, the request took so long that they have been deleted.
        """
        if not await DoomedObjects(session).spare(list(keys)):
            raise ApiError(503, "The upload took too long; send it again.", kind="server_error")

    async def put_embedding(self, org_id: str, voice_id: str, model: str, data: bytes) -> Prepared:
        """Put a prepared voice that has no row yet into the object store.

        Args:
            org_id: ID of the tenant.
            voice_id: ID of the voice.
            model: Model and version of the engine that it was prepared for.
            data: The packed voice.
        """
        embedding_id = new_id("emb")
        key = embedding_key(org_id, voice_id, embedding_id)
        await self._doom_later(key)
        await self._objects.put(key, single_chunk(data), content_type=MEDIA_TYPE, max_bytes=len(data))
        return Prepared(embedding_id=embedding_id, model=model, key=key, size=len(data))

    @asynccontextmanager
    async def discarding(self) -> AsyncGenerator[list[str], None]:
        """Yield a list for keys of objects; if the block fails, the objects are deleted."""
        keys: list[str] = []
        try:
            yield keys
        except BaseException:
            await asyncio.shield(self._discard(keys))
            raise

    async def _discard(self, keys: Sequence[str]) -> None:
        # If the database is unavailable, they are deleted when they are due. If the failed transaction was
        # committed nevertheless, their deletion was cancelled, and they stay.
        with suppress(StorageUnavailable):
            async with self._gate.write() as session:
                await DoomedObjects(session).hasten(keys)

    async def _doom_later(self, key: str) -> None:
        async with self._gate.write() as session:
            await DoomedObjects(session).doom([key], due_at=now() + UNCLAIMED)

    async def _one(self, org_id: str, voice_id: str, described: Described) -> AudioSample:
        upload = described.upload
        target = upload.path.with_name(f"{upload.path.name}.wav")
        report = await self.examine(upload, target, param="samples")
        sample_id = new_id("sample")
        sample = AudioSample(
            id=sample_id,
            org_id=org_id,
            voice_id=voice_id,
            filename=upload.filename,
            content_type=content_type(report),
            original_key=sample_key(org_id, voice_id, sample_id, "original"),
            audio_key=sample_key(org_id, voice_id, sample_id, "audio.wav"),
            sha256=upload.sha256,
            size=0,
            duration_ms=round(report.speech_seconds * 1000),
            transcript=described.transcript,
            language=described.language,
            report=report.model_dump(mode="json"),
            created_at=now(),
        )
        async with self.discarding() as keys:
            keys.extend(keys_of(sample))
            for key, path, kind in (
                (sample.original_key, upload.path, sample.content_type),
                (sample.audio_key, target, WAV),
            ):
                sample.size += await self.put(key or "", path, kind)
        await asyncio.to_thread(target.unlink)
        return sample


def content_type(report: SampleReport) -> str:
    """Return the media type of an upload, from its detected container."""
    return CONTENT_TYPES.get(report.source.container, "application/octet-stream")
