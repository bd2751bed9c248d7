"""Preparing voices from recordings in a runner, one at a time and concurrently with speech."""

import asyncio
import logging
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

from engines.batcher import Hold
from engines.contract import (
    CloningEngine,
    EngineAdapter,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    ReferenceSample,
    UnsupportedUtterance,
)
from engines.embedding import LARGEST, pack
from services.tasks import in_thread
from services.wire.frames import PREPARE_TIMEOUT_SECONDS, WAIT_TIMEOUT_SECONDS

logger = logging.getLogger(__name__)

WAITING: Final = 8
"""Maximum number of preparations that wait for the running one."""


class EnginePreparer:
    """Prepares voices with one engine.

    Args:
        engine: The engine.
        hold: Loads the engine and keeps it loaded for a block, see ``ModelLease.hold``.
    """

    def __init__(self, engine: EngineAdapter, hold: Hold) -> None:
        self._engine = engine
        self._hold = hold
        self._turn = asyncio.Lock()
        self._taken = 0
        self._lately = 1.0  # seconds the last one took

    @contextmanager
    def place(self) -> Generator[None, None, None]:
        """Take a place for one preparation. Enter it before its recordings are read.

        Raises:
            EngineOverloaded: All places are taken.
        """
        if self._taken > WAITING:
            message = (
                f"{WAITING} voices are already waiting to be prepared by the engine {self._engine.name}."
            )
            raise EngineOverloaded(message, retry_after=max(1.0, self._lately))
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def prepare(self, samples: Sequence[ReferenceSample]) -> bytes:
        """Prepare a voice from ``samples``, and return it packed. Cancelling stops the engine's work.

        Raises:
            EngineError: The preparation failed; ``UnsupportedUtterance`` if the recordings are unusable.
        """
        try:
            async with asyncio.timeout(WAIT_TIMEOUT_SECONDS):
                await self._turn.acquire()
        except TimeoutError as error:
            raise EngineOverloaded("The voice waited too long in the preparation queue.") from error
        started = time.monotonic()
        try:
            return await self._run(samples)
        finally:
            self._lately = time.monotonic() - started
            self._turn.release()

    async def _run(self, samples: Sequence[ReferenceSample]) -> bytes:
        name = self._engine.name
        limit = asyncio.timeout(PREPARE_TIMEOUT_SECONDS)
        try:
            async with limit, self._hold() as engine:
                return await _prepare(engine, samples)
        except EngineError:
            raise
        except Exception as error:  # a plug-in's defect must reach its caller as an error, whatever it raises
            if isinstance(error, TimeoutError) and limit.expired():
                message = (
                    f"The engine {name} took longer than {PREPARE_TIMEOUT_SECONDS:g} s to prepare a voice."
                )
                raise EngineUnavailable(message) from error
            logger.exception("the engine %s failed to prepare a voice", name)
            raise EngineUnavailable(f"The engine {name} failed: {type(error).__name__}.") from error


async def _prepare(engine: EngineAdapter, samples: Sequence[ReferenceSample]) -> bytes:
    if not isinstance(engine, CloningEngine):
        raise UnsupportedUtterance(f"The engine {engine.name} does not clone voices.")
    voice = await engine.prepare_voice(samples)
    if voice.model != engine.voice_model:
        raise EngineUnavailable(f"The engine {engine.name} prepared a voice for another model.")
    data = await in_thread(pack, voice)
    if len(data) > LARGEST:
        raise EngineUnavailable(f"The engine {engine.name} prepared a voice that is too large.")
    return data
