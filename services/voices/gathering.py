"""What a bundle holds, fetched from the object store into a folder."""

import asyncio
from pathlib import Path

from services.voices.bundle import ConsentEntry, EmbeddingEntry, SampleEntry, unpacked
from storage.objects.contract import ObjectMissing, ObjectStore
from storage.tables import AudioSample, VoiceConsent, VoiceEmbedding


class Gathered:
    """The files of a bundle.

    Args:
        objects: The object store.
        folder: Where they go.
    """

    def __init__(self, objects: ObjectStore, folder: Path) -> None:
        self._objects = objects
        self._folder = folder
        self.files: list[tuple[str, Path]] = []

    async def file(self, name: str, key: str) -> str:
        """Fetch a file; gives its name.

        Raises:
            ObjectMissing: There is none.
            ObjectsUnavailable: The store is away.
        """
        path = unpacked(self._folder, name)
        reader = await self._objects.open(key)
        try:
            with await asyncio.to_thread(path.open, "wb") as file:
                async for chunk in reader.chunks:
                    await asyncio.to_thread(file.write, chunk)
        finally:
            await reader.chunks.aclose()
        self.files.append((name, path))
        return name

    async def kept(self, name: str, key: str | None) -> str | None:
        """Fetch a file, if it is still kept."""
        if key is None:
            return None
        try:
            return await self.file(name, key)
        except ObjectMissing:
            return None

    async def embedding(self, index: int, row: VoiceEmbedding) -> EmbeddingEntry | None:
        """A prepared voice; nothing, where another has just taken its place."""
        if row.key is None or row.model is None:
            return None
        file = await self.kept(f"embeddings/{index}.safetensors", row.key)
        return None if file is None else EmbeddingEntry(engine=row.engine, model=row.model, file=file)

    async def sample(self, index: int, sample: AudioSample) -> SampleEntry:
        """A recording with its files."""
        return SampleEntry(
            filename=sample.filename,
            content_type=sample.content_type,
            sha256=sample.sha256,
            duration_ms=sample.duration_ms,
            transcript=sample.transcript,
            language=sample.language,
            report=sample.report,
            original=await self.kept(f"samples/{index}/original", sample.original_key),
            audio=await self.kept(f"samples/{index}/audio.wav", sample.audio_key),
        )

    async def consent(self, consent: VoiceConsent) -> ConsentEntry:
        """A consent with its recording."""
        return ConsentEntry(
            kind="recording" if consent.kind == "recording" else "attestation",
            name=consent.name,
            language=consent.language,
            statement={**consent.statement, "given_at": consent.created_at.isoformat()},
            content_type=consent.content_type,
            recording=await self.kept("consent/recording", consent.key),
        )
