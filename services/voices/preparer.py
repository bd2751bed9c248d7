"""Preparing voices in the engines, in the background.

For each engine, a Gateway process prepares one voice at a time. The queue is in the database, with leases:
when a process dies, its lease expires and another process takes over.
"""

import asyncio
import io
import logging
import wave
from collections.abc import Collection
from datetime import timedelta
from functools import partial
from typing import Final

import numpy as np

from engines.contract import EngineError, EngineUnavailable, ReferenceSample, UnsupportedUtterance
from engines.embedding import unpack
from services.config import Settings
from services.directory import EngineDirectory
from services.gate import DatabaseGate
from services.metrics import Metrics
from services.stopping import Stopping
from services.tasks import Chore, in_thread, running
from services.voices.intake import Intake
from services.voices.objects import read_object
from services.voices.standing import restate
from services.wire.client import EngineClient
from storage.columns import new_id, now
from storage.errors import StorageError
from storage.objects.contract import ObjectMissing, ObjectStore
from storage.repositories.doomed import DoomedObjects
from storage.repositories.embeddings import (
    Claim,
    claim_preparation,
    fail_claim,
    finish_claim,
    models_are_current,
    preparation_is_due,
    renew_claim,
    return_claim,
    want_current_models,
)
from storage.repositories.samples import SampleRepository
from storage.repositories.voices import VoiceRepository
from storage.tables import AudioSample

logger = logging.getLogger(__name__)

LEASE_SECONDS: Final = 60.0
"""Seconds after which the work of a dead process is taken over."""

RENEWAL: Final = LEASE_SECONDS / 3

POLL_SECONDS: Final = 1.0
"""Seconds between checks for work that other processes have queued."""

MOST_SECONDS: Final = 600.0
"""Maximum seconds of recordings for a preparation; the first recordings are used."""

HAND_BACK_SECONDS: Final = 5.0
"""Maximum seconds to return a claim when the process stops."""

MOST_ATTEMPTS: Final = 30
"""Consecutive failures of an engine after which a voice has failed: half an hour, including the backoff."""

LONGEST_PAUSE: Final = 60.0

LARGEST_AUDIO: Final = 256 * 1024 * 1024
"""Maximum size of a canonical recording in bytes: an hour and a half."""


class VoicePreparer:
    """Prepares queued voices.

    Args:
        gate: The database.
        objects: The object store.
        intake: Stores prepared voices.
        directory: The engines.
        settings: The settings.
        metrics: The metrics, for preparations.
    """

    def __init__(
        self,
        gate: DatabaseGate,
        objects: ObjectStore,
        intake: Intake,
        directory: EngineDirectory,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._gate = gate
        self._intake = intake
        self._objects = objects
        self._directory = directory
        self._settings = settings
        self._metrics = metrics
        self._chores = [
            Chore(
                f"preparing voices for {client.name}",
                partial(self._work, client),
                every=POLL_SECONDS,
                at_once=True,
            )
            for client in directory.clients
        ]

    def wake(self) -> None:
        """Check for work now."""
        for chore in self._chores:
            chore.wake()

    async def run(self, stopping: Stopping) -> None:
        """Prepare voices until the process begins to stop; other processes then take over."""
        async with running(*self._chores):
            await stopping.wait()

    async def cloning(self) -> Collection[str]:
        """Return the names of the engines that clone, without those that have not answered yet."""
        return (await self.models()).keys()

    async def want_current(self) -> int:
        """Queue the voices that are not prepared for the current model of an engine.

        Returns:
            The number of queued preparations.
        """
        if not (models := await self.models()):
            return 0
        # Check in a read transaction first: this is called often, and there is rarely anything to do.
        async with self._gate.read() as session:
            if await models_are_current(session, models):
                return 0
        async with self._gate.write() as session:
            wanted = await want_current_models(session, models)
        if wanted:
            logger.info("%d voices are prepared for the engines' current models", wanted)
            self.wake()
        return wanted

    async def forget(self, embeddings: Collection[tuple[str, str]]) -> None:
        """Erase embeddings from the engines' memory. Errors are only logged.

        Args:
            embeddings: Engine and ID of each embedding.
        """
        for engine, embedding_id in embeddings:
            client = self._directory.find(engine)
            if client is None:
                continue
            try:
                await client.drop_voice(embedding_id)
            except EngineError as error:
                # The runner's copy is the last one; it is lost when it is evicted or the runner ends.
                logger.warning("the engine %s keeps an erased voice in memory: %s", engine, error.message)

    async def models(self) -> dict[str, str]:
        """Return engine → model of the engines that clone, without those that have not answered yet.

        Engines whose license is not accepted are skipped.
        """
        models: dict[str, str] = {}
        for client in self._directory.clients:
            try:
                description = await self._directory.describe(client)
            except EngineUnavailable:
                continue
            if description.license_accepted is False:
                continue  # it is never loaded; voices are queued once the license is accepted
            if description.capabilities.cloning and description.voice_model is not None:
                models[client.name] = description.voice_model
        return models

    async def _work(self, client: EngineClient) -> None:
        while await self._one(client):
            pass

    async def _one(self, client: EngineClient) -> bool:
        """Prepare one queued voice, if any; return whether there was one."""
        # Check in a read transaction first: a write transaction each second would block others in SQLite.
        async with self._gate.read() as session:
            if not await preparation_is_due(session, [client.name]):
                return False
        async with self._gate.write() as session:
            claim = await claim_preparation(
                session, [client.name], lease=new_id("lease"), seconds=LEASE_SECONDS
            )
            if claim is None:
                return False
            if (voice := await VoiceRepository(session, claim.org_id).lock(claim.voice_id)) is not None:
                await restate(session, voice, self._settings)
        work = asyncio.create_task(self._prepare(client, claim))

        async def renew() -> None:
            async with self._gate.write() as session:
                if not await renew_claim(session, claim, seconds=LEASE_SECONDS):
                    work.cancel()

        try:
            async with running(Chore("renewing the claim on a voice", renew, every=RENEWAL)):
                await work
        except asyncio.CancelledError:
            if not work.cancelled() or (task := asyncio.current_task()) is None or task.cancelling():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                await asyncio.shield(self._hand_back(claim))
                raise
            logger.info("a voice was changed while it was prepared for %s", client.name)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        return True

    async def _hand_back(self, claim: Claim) -> None:
        """Return a claim, so that another process can take the work at once."""
        try:
            async with asyncio.timeout(HAND_BACK_SECONDS), self._gate.write() as session:
                voice = await VoiceRepository(session, claim.org_id).lock(claim.voice_id)
                if await return_claim(session, claim) and voice is not None:
                    await restate(session, voice, self._settings)
        except (StorageError, TimeoutError) as error:
            logger.warning("the voice %s waits for its lease to end: %s", claim.voice_id, error)

    async def _prepare(self, client: EngineClient, claim: Claim) -> None:
        try:
            samples = await self._samples(claim)
            if not samples:
                await self._fail(claim, "Its recordings are no longer kept.", retry=False)
                return
            with self._metrics.preparation_seconds.labels(client.name).time():
                data = await client.prepare(samples)
            await self._keep(client, claim, data)
        except UnsupportedUtterance as error:
            await self._fail(claim, error.message, retry=False)
        except ObjectMissing:
            await self._fail(claim, "A recording is missing from the object store.", retry=False)
        except StorageError:
            # Retried without limit: an outage says nothing about the recordings.
            await self._fail(
                claim, "A part of the server is unreachable; the preparation will be retried.", retry=True
            )
            raise
        except EngineError as error:
            await self._fail(claim, error.message, retry=claim.attempts + 1 < MOST_ATTEMPTS)

    async def _samples(self, claim: Claim) -> list[ReferenceSample]:
        async with self._gate.read() as session:
            rows = await SampleRepository(session, claim.org_id).list(claim.voice_id)
            voice = await VoiceRepository(session, claim.org_id).get(claim.voice_id)
        language = None if voice is None else voice.language
        samples: list[ReferenceSample] = []
        seconds = 0.0
        for row in rows:
            if row.audio_key is None or seconds >= MOST_SECONDS:
                continue
            data = await read_object(self._objects, row.audio_key, most=LARGEST_AUDIO)
            sample = await in_thread(_reference, data, row, language, MOST_SECONDS - seconds)
            samples.append(sample)
            seconds += sample.pcm.size / sample.sample_rate
        return samples

    async def _keep(self, client: EngineClient, claim: Claim, data: bytes) -> None:
        model = (await in_thread(unpack, data)).model
        prepared = await self._intake.put_embedding(claim.org_id, claim.voice_id, model, data)
        replaced: list[tuple[str, str]] = []
        async with self._gate.write() as session:
            voice = await VoiceRepository(session, claim.org_id).lock(claim.voice_id)
            ours, old = await finish_claim(session, claim, prepared)
            doomed = DoomedObjects(session)
            if not ours or voice is None:
                await doomed.doom([prepared.key])
                return
            await doomed.spare([prepared.key])
            if old is not None:
                await doomed.doom([old.key])
                replaced.append((claim.engine, old.embedding_id))
            await restate(session, voice, self._settings)
        self._metrics.preparations.labels(client.name, "ready").inc()
        logger.info("the voice %s is ready for %s", claim.voice_id, client.name)
        # Requests that were planned just before still use the old embedding, new requests do not.
        await self.forget(replaced)

    async def _fail(self, claim: Claim, reason: str, *, retry: bool) -> None:
        self._metrics.preparations.labels(claim.engine, "retried" if retry else "failed").inc()
        pause = min(2.0**claim.attempts, LONGEST_PAUSE)
        retry_at = now() + timedelta(seconds=pause) if retry else None
        async with self._gate.write() as session:
            voice = await VoiceRepository(session, claim.org_id).lock(claim.voice_id)
            if await fail_claim(session, claim, reason, retry_at=retry_at) and voice is not None:
                await restate(session, voice, self._settings)
        logger.warning("the voice %s could not be prepared for %s: %s", claim.voice_id, claim.engine, reason)


def _reference(data: bytes, row: AudioSample, language: str | None, seconds: float) -> ReferenceSample:
    with wave.open(io.BytesIO(data)) as file:
        rate = file.getframerate()
        pcm = np.frombuffer(file.readframes(round(seconds * rate)), "<i2").astype(np.int16, copy=False)
        whole = pcm.size == file.getnframes()
    # The transcript of the whole recording would not match a part of it.
    transcript = row.transcript if whole else None
    return ReferenceSample(
        pcm=pcm, sample_rate=rate, transcript=transcript, language=row.language or language
    )
