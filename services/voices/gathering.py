"""Fetching the files of a bundle from the object store."""

import asyncio
from pathlib import Path

from services.voices.bundle import ConsentEntry, EmbeddingEntry, SampleEntry, unpacked
from storage.objects.contract import ObjectMissing, ObjectStore
from storage.tables import AudioSample, VoiceConsent, VoiceEmbedding


class Gathered:
    """The files of a bundle, fetched into a folder.

    Args:
        objects: The object store.
        folder: The folder for the files.

    Attributes:
        files: Name in the bundle and path of each fetched file.
    """

    def __init__(self, objects: ObjectStore, folder: Path) -> None:
        self._objects = objects
        self._folder = folder
        self.files: list[tuple[str, Path]] = []

    async def file(self, name: str, key: str) -> str:
        """Fetch a file; return its name in the bundle.

        Args:
            name: Name in the bundle.
            key: Key in the object store.

        Raises:
            ObjectMissing: There is no such object.
            ObjectsUnavailable: The store is unavailable.
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
        """Fetch a file and return its name; ``None`` if it is no longer kept."""
        if key is None:
            return None
        try:
            return await self.file(name, key)
        except ObjectMissing:
            return None

    async def embedding(self, index: int, row: VoiceEmbedding) -> EmbeddingEntry | None:
        """Fetch a prepared voice; return ``None`` if it has none, or was replaced meanwhile."""
        if row.key is None or row.model is None:
            return None
        file = await self.kept(f"embeddings/{index}.safetensors", row.key)
        return None if file is None else EmbeddingEntry(engine=row.engine, model=row.model, file=file)

    async def sample(self, index: int, sample: AudioSample) -> SampleEntry:
        """Fetch the files of a recording, and return its entry."""
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
        """Fetch the recording of a consent, and return its entry."""
        return ConsentEntry(
            kind="recording" if consent.kind == "recording" else "attestation",
            name=consent.name,
            language=consent.language,
            statement={**consent.statement, "given_at": consent.created_at.isoformat()},
            content_type=consent.content_type,
            recording=await self.kept("consent/recording", consent.key),
        )
