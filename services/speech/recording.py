"""Storing a request's audio while it is spoken."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Final

from services.audio.formats import AudioFormat
from services.config import QuotaLimits, RetentionConfig
from services.errors import ApiError
from services.gate import DatabaseGate
from services.tenancy.principal import Principal
from storage.columns import new_id, now
from storage.errors import OverQuota
from storage.objects.contract import ObjectStore, TooLarge
from storage.objects.keys import output_key
from storage.repositories.outputs import OutputRepository

logger = logging.getLogger(__name__)

PIECES_AHEAD: Final = 16
"""Maximum number of pieces that wait for the store; beyond that, the speech waits too."""

LARGEST: Final = 2 * 1024**3
"""Maximum size of a recording in bytes: an hour of 48 kHz WAV is a third of a gibibyte."""


class OutputRecording:
    """The stored audio of one request. Only complete audio is kept.

    Args:
        store: The store of the audio.
        gate: The database, for the record of the audio.
        principal: The caller, for its tenant.
        limits: The tenant's limits.
        retention: Default retention; the tenant's own setting takes precedence.
        audio: Format of the audio.
    """

    def __init__(
        self,
        store: ObjectStore,
        gate: DatabaseGate,
        principal: Principal,
        *,
        limits: QuotaLimits,
        retention: RetentionConfig,
        audio: AudioFormat,
    ) -> None:
        self.id = new_id("audio")
        self._store = store
        self._gate = gate
        self._org_id = principal.org_id
        self._limit = limits.stored_bytes
        days = principal.retention.get("outputs_days", retention.outputs_days)
        self._expires_at = None if days is None else now() + timedelta(days=days)
        self._content_type = audio.content_type
        self._key = output_key(self._org_id, self.id, audio.extension.removeprefix("."), now())
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(PIECES_AHEAD)
        largest = LARGEST if self._limit is None else min(LARGEST, self._limit)
        self._task = asyncio.create_task(
            store.put(self._key, self._feed(), content_type=self._content_type, max_bytes=largest)
        )
        self._ended = False

    async def write(self, data: bytes) -> None:
        """Add the next bytes.

        Raises:
            ApiError: 429, the tenant's storage limit would be exceeded.
            StorageUnavailable: The store is unavailable.
        """
        if data:
            await self._put(data)

    async def finish(self, seconds: float) -> None:
        """Complete the recording and add its record to the database.

        Args:
            seconds: Duration of the audio.

        Raises:
            ApiError: 429, the tenant's storage limit would be exceeded.
            StorageUnavailable: The store or the database is unavailable; nothing is kept.
        """
        await self._put(None)
        try:
            info = await self._task
        except TooLarge as error:
            raise self._too_much() from error
        self._ended = True
        try:
            async with self._gate.write() as session:
                await OutputRepository(session, self._org_id).add(
                    output_id=self.id,
                    key=self._key,
                    content_type=self._content_type,
                    size=info.size,
                    etag=info.etag,
                    duration_ms=round(seconds * 1000),
                    expires_at=self._expires_at,
                    most=self._limit,
                )
        except BaseException as error:
            # Without a record, the object would be orphaned.
            await asyncio.shield(self._store.delete(self._key))
            if isinstance(error, OverQuota):
                raise self._too_much() from error
            raise

    async def abandon(self) -> None:
        """Discard the recording; does nothing after a successful :meth:`finish`."""
        if self._ended:
            return
        self._ended = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _put(self, piece: bytes | None) -> None:
        putting = asyncio.ensure_future(self._pieces.put(piece))
        try:
            await asyncio.wait({putting, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if self._task.done() and not putting.done():
                self._raise()
        finally:
            putting.cancel()
        if self._task.done() and piece is not None:
            self._raise()

    def _raise(self) -> None:
        try:
            self._task.result()
        except TooLarge as error:
            raise self._too_much() from error

    async def _feed(self) -> AsyncGenerator[bytes, None]:
        while (piece := await self._pieces.get()) is not None:
            yield piece

    def _too_much(self) -> ApiError:
        limit = self._limit or LARGEST
        message = f"The organisation has a storage quota of {limit} bytes, which this would exceed."
        return ApiError(429, message, kind="insufficient_quota", code="insufficient_quota")


class Recorder:
    """Starts recordings.

    Args:
        store: The store of the audio.
        gate: The database, for the records of the audio.
        retention: Default retention; a tenant's own setting takes precedence.
    """

    def __init__(self, store: ObjectStore, gate: DatabaseGate, retention: RetentionConfig) -> None:
        self._store = store
        self._gate = gate
        self._retention = retention

    async def ping(self) -> None:
        """Check that the store is available.

        Raises:
            StorageUnavailable: The store is unavailable; the error has the reason.
        """
        await self._store.ping()

    def record(self, principal: Principal, limits: QuotaLimits, audio: AudioFormat) -> OutputRecording:
        """Start to store a request's audio.

        Args:
            principal: The caller, for its tenant.
            limits: The tenant's limits.
            audio: Format of the audio.
        """
        return OutputRecording(
            self._store, self._gate, principal, limits=limits, retention=self._retention, audio=audio
        )
