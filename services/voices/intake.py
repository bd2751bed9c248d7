"""From an upload to a sample: examined, made canonical, kept.

No crash leaves an object behind: before one is put, its key is among the doomed, due in an hour, and the
transaction that makes a row of it takes it out.
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
"""After which an object that no row points to is removed; longer than any request takes."""

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
"""By the container that was found, whatever the client said."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a client says of an upload.

    Attributes:
        upload: The file.
        transcript: What is said in it.
        language: BCP-47 tag of that.
    """

    upload: Upload
    transcript: str | None = None
    language: str | None = None


class Intake:
    """Examines uploads and keeps them.

    Args:
        gate: The database.
        objects: The object store.
        examiner: Looks at recordings.
        limits: Of uploads.
        metrics: Counts what was examined.
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
        """Examine uploads and put their objects: samples that :meth:`claim` makes rows of.

        If one of them is bad, none is taken.

        Raises:
            ApiError: 400, one is no usable recording; 503, too many are examined now.
            StorageError: The object store or the database is away.
        """
        taken: list[AudioSample] = []
        async with self.discarding() as keys:
            for described in uploads:
                # One after the other: the examiner is shared with everybody else.
                sample = await self._one(org_id, voice_id, described)
                taken.append(sample)
                keys.extend(keys_of(sample))
        return taken

    async def examine(self, upload: Upload, target: Path, *, param: str) -> SampleReport:
        """Look at one upload; the canonical recording is in ``target`` then.

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
        """Put a file that no row points to yet; gives its bytes."""
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
        """Have objects stay, in the transaction that makes rows of them.

        Raises:
            ApiError: 503, it took so long that they were removed.
        """
        if not await DoomedObjects(session).spare(list(keys)):
            raise ApiError(503, "The upload took too long; send it again.", kind="server_error")

    async def put_embedding(self, org_id: str, voice_id: str, model: str, data: bytes) -> Prepared:
        """Put a prepared voice that no row points to yet."""
        embedding_id = new_id("emb")
        key = embedding_key(org_id, voice_id, embedding_id)
        await self._doom_later(key)
        await self._objects.put(key, single_chunk(data), content_type=MEDIA_TYPE, max_bytes=len(data))
        return Prepared(embedding_id=embedding_id, model=model, key=key, size=len(data))

    @asynccontextmanager
    async def discarding(self) -> AsyncGenerator[list[str], None]:
        """Gives a list for the keys of objects that are put; should the block fail, they are removed."""
        keys: list[str] = []
        try:
            yield keys
        except BaseException:
            await asyncio.shield(self._discard(keys))
            raise

    async def _discard(self, keys: Sequence[str]) -> None:
        # While the database is away, they stay until they are due in any case. Should the transaction that
        # failed have been committed all the same, they were spared, and stay.
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
    """The media type of an upload, from what was found in it."""
    return CONTENT_TYPES.get(report.source.container, "application/octet-stream")
