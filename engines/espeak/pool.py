"""A pool of worker processes, each of which is lent to one batch at a time."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from engines.contract import EngineOverloaded, EngineUnavailable
from engines.espeak.process import WorkerLost, WorkerProcess

logger = logging.getLogger(__name__)

Spawn: TypeAlias = Callable[[], Awaitable[WorkerProcess]]


class WorkerPlace:
    """A place for one worker, which is replaced if it is lost.

    Args:
        spawn: Starts a worker.
    """

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._lock = asyncio.Lock()
        self._closed = False
        self.worker: WorkerProcess | None = None

    async def ready(self) -> WorkerProcess:
        """Return the worker; start it if necessary.

        Raises:
            EngineUnavailable: The worker does not start, or the pool is closed.
        """
        async with self._lock:
            if self._closed:
                raise EngineUnavailable("The engine is shutting down.")
            if self.worker is not None and not self.worker.alive:
                logger.warning("the eSpeak NG worker %d died; starting another", self.worker.pid)
                await self.worker.stop()
                self.worker = None
            if self.worker is None:
                self.worker = await self._spawn()
            return self.worker

    async def settle(self) -> None:
        """Prepare the worker for the next batch: stop abandoned speech, and replace a lost worker."""
        if self.worker is not None and self.worker.alive and self.worker.busy:
            try:
                await self.worker.flush()
            except WorkerLost:
                if self._closed:
                    return
                logger.warning("the eSpeak NG worker %d did not stop speaking", self.worker.pid)
        try:
            if not self._closed:
                await self.ready()
        except EngineUnavailable as error:  # the next batch retries, and reports it
            logger.warning("%s", error.message)

    async def close(self) -> None:
        """End the worker permanently."""
        self._closed = True
        if self.worker is not None:
            self.worker.kill()  # wakes the callers that wait for it
        async with self._lock:
            if self.worker is not None:
                await self.worker.stop()
                self.worker = None


class Pool:
    """A fixed number of workers.

    Args:
        spawn: Starts a worker.
        size: Number of workers.
    """

    def __init__(self, spawn: Spawn, size: int) -> None:
        self._places = [WorkerPlace(spawn) for _ in range(size)]
        self._idle: asyncio.LifoQueue[WorkerPlace] = asyncio.LifoQueue(size)  # most recently used first
        self._settling: set[asyncio.Task[None]] = set()

    @property
    def workers(self) -> list[WorkerProcess]:
        """The running workers."""
        return [place.worker for place in self._places if place.worker is not None and place.worker.alive]

    async def start(self) -> None:
        """Start all workers.

        Raises:
            EngineUnavailable: A worker does not start; then no worker remains.
        """
        results = await asyncio.gather(*(place.ready() for place in self._places), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                await self.close()
                raise result
        for place in self._places:
            self._idle.put_nowait(place)

    @asynccontextmanager
    async def lend(self, timeout: float) -> AsyncGenerator[WorkerPlace, None]:  # noqa: ASYNC109 - bounds the wait alone, not what follows
        """Lend a place exclusively. Its worker may still be speaking when it is given back.

        Args:
            timeout: Seconds to wait for a free place.

        Raises:
            EngineOverloaded: All places were in use for that long.
        """
        try:
            async with asyncio.timeout(timeout):
                place = await self._idle.get()
        except TimeoutError:
            raise EngineOverloaded(f"All {len(self._places)} eSpeak NG workers are in use.") from None
        try:
            yield place
        finally:
            self._give_back(place)

    async def close(self) -> None:
        """End all workers, and wait until they have exited."""
        await asyncio.gather(*(place.close() for place in self._places))
        await asyncio.gather(*self._settling)

    def _give_back(self, place: WorkerPlace) -> None:
        """Give a place back without waiting, because the caller may be cancelled."""
        if place.worker is not None and place.worker.alive and not place.worker.busy:
            self._idle.put_nowait(place)
            return
        task = asyncio.create_task(self._settle(place))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(self, place: WorkerPlace) -> None:
        try:
            await place.settle()
        finally:
            self._idle.put_nowait(place)
