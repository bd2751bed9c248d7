"""Concurrent work: in threads, until the client disconnects, shared by callers, or periodic."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Hashable
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, ParamSpec, TypeVar

from starlette.types import Receive

from services.log_context import of_no_request
from storage.errors import StorageError

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

CLOSE_SECONDS: Final = 15.0
"""Maximum time to close a chore, in seconds."""


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``work`` in a thread. When the caller is cancelled, wait for the thread first.

    The objects that ``work`` uses can therefore be closed as soon as this returns or raises.
    """
    return await in_pool(None, work, *args, **kwargs)


async def in_pool(pool: Executor | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Like :func:`in_thread`, but in a thread of ``pool``; ``None`` is the event loop's default pool."""
    called = partial(work, *args, **kwargs)
    thread = asyncio.get_running_loop().run_in_executor(pool, copy_context().run, called)
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.wait({thread})
        raise


async def until_hangup(work: Coroutine[Any, Any, None], receive: Receive) -> bool:
    """Run ``work``; cancel it as soon as the peer of ``receive`` disconnects.

    Args:
        work: The work for the client. The request's body must have been read before.
        receive: The connection's ``receive``.

    Returns:
        Whether the work was completed. Its exceptions are raised.
    """
    worker = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({worker, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if worker.done():
            await worker
            return True
        return False
    finally:
        for task in (worker, watcher):
            task.cancel()
        await asyncio.gather(worker, watcher, return_exceptions=True)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    waiting: int = 0


class SingleFlight(Generic[T]):
    """Shares running work by key; results are not cached.

    The work's log lines belong to no request, whichever request started it.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    def __len__(self) -> int:
        """Return the number of running pieces of work."""
        return len(self._flights)

    async def run(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Start the work of ``key`` unless it is running, and wait for its result or exception.

        If a caller is cancelled, the work continues for the others; the last caller cancels it.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(work(), context=of_no_request()))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 or flight.task.done():
                flight.task.cancel()
                if self._flights.get(key) is flight:
                    del self._flights[key]


class Chore:
    """Periodic background work of the server, one round at a time, outside any request.

    A round that raises is logged and repeated ``every`` seconds later, even if the chore is woken before, so
    that an outage does not cause more work.

    Args:
        name: Name for the log, such as "erasing".
        work: Runs one round.
        every: Seconds between two rounds.
        gather: Seconds between a wake and its round, in which more work may accumulate.
        at_once: Whether the first round runs immediately instead of after ``every`` seconds.
        at_close: Whether a last round runs on closing.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[object]],
        *,
        every: float,
        gather: float = 0.0,
        at_once: bool = False,
        at_close: bool = False,
    ) -> None:
        self._name = name
        self._work = work
        self._every = every
        self._gather = gather
        self._at_close = at_close
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        if at_once:
            self.wake()

    def wake(self) -> None:
        """Run a round now, or another one after the running one."""
        self._wanted.set()

    def start(self) -> None:
        """Start the chore in the running event loop."""
        self._task = asyncio.create_task(self._repeat(), context=Context())

    async def aclose(self) -> None:
        """Cancel the running round, and run the last one if wanted, in at most :data:`CLOSE_SECONDS`."""
        if self._task is None:
            return
        ending = asyncio.create_task(self._end(self._task), context=Context())
        self._task = None
        try:
            await asyncio.wait({ending}, timeout=CLOSE_SECONDS)
        finally:
            if not ending.done():
                logger.error("%s did not end in time", self._name)
                ending.cancel()

    async def _end(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.wait({task})
        if self._at_close:
            await self._round()

    async def _repeat(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._wanted.wait()
                await asyncio.sleep(self._gather)
            self._wanted.clear()
            if not await self._round():
                await asyncio.sleep(self._every)
                self.wake()

    async def _round(self) -> bool:
        """Run a round; return whether it succeeded."""
        try:
            await self._work()
        except StorageError as error:
            logger.warning("%s has to wait: %s", self._name, error)
        except Exception:  # no exception of a round may prevent the next
            logger.exception("%s failed", self._name)
        else:
            return True
        return False


@asynccontextmanager
async def running(*chores: Chore) -> AsyncGenerator[None, None]:
    """Run chores until the end of the block; then close all of them concurrently."""
    for chore in chores:
        chore.start()
    try:
        yield
    finally:
        await asyncio.gather(*(chore.aclose() for chore in chores))
