"""Work beside other work: in a thread, while its caller is there, once for many, and again and again."""

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
"""Seconds that the end of a chore may take."""


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``work`` in a thread. When the caller is cancelled, wait for the thread first.

    The objects that ``work`` uses can therefore be closed as soon as this returns or raises.
    """
    return await in_pool(None, work, *args, **kwargs)


async def in_pool(pool: Executor | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As :func:`in_thread`, in one of ``pool``'s threads; ``None`` is the event loop's own pool."""
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
        work: What is done for the caller. The request's body must have been read before.
        receive: The ASGI connection's.

    Returns:
        Whether the work ran to its end. Its exceptions are raised.
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
    """Shares running work by key; nothing is kept once it has ended.

    It is of no request, whichever one started it.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    def __len__(self) -> int:
        """How many pieces of work run."""
        return len(self._flights)

    async def run(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait for the work of ``key``, started now unless it runs; what it gives or raises, all get.

        A caller that gives up leaves it to the others; the last one cancels it.
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
    """Background work in rounds, one at a time, for the server itself and of no request.

    A round that raises is logged and repeated ``every`` seconds later, even if the chore is woken before, so
    that an outage is not met with more work.

    Args:
        name: For the log, such as "erasing".
        work: One round.
        every: Seconds between two rounds.
        gather: Seconds between a wake and its round, in which more work may gather.
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
        """Run a round now, or another one after the one that is running."""
        self._wanted.set()

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._task = asyncio.create_task(self._repeat(), context=Context())

    async def aclose(self) -> None:
        """Cancel the round that is running and run the last one, in :data:`CLOSE_SECONDS` at most."""
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
        """Work once; whether it succeeded."""
        try:
            await self._work()
        except StorageError as error:
            logger.warning("%s has to wait: %s", self._name, error)
        except Exception:  # whatever one round raises must not end the next
            logger.exception("%s failed", self._name)
        else:
            return True
        return False


@asynccontextmanager
async def running(*chores: Chore) -> AsyncGenerator[None, None]:
    """Run chores until the end of the block; then all are closed at the same time."""
    for chore in chores:
        chore.start()
    try:
        yield
    finally:
        await asyncio.gather(*(chore.aclose() for chore in chores))
