"""Work beside other work: in a thread, while its caller is there, once for many, and again and again."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, ParamSpec, TypeVar

from starlette.types import Receive

from storage.errors import StorageError

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

TICK: Final = 1.0
"""Seconds between two looks at what is due."""


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``work`` in a thread. When the caller is cancelled, wait for the thread first.

    The objects that ``work`` uses can therefore be closed as soon as this returns or raises.
    """
    return await in_pool(None, work, *args, **kwargs)


async def in_pool(pool: Executor | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As :func:`in_thread`, in one of ``pool``'s threads; ``None`` is the event loop's own pool."""
    thread = asyncio.get_running_loop().run_in_executor(pool, partial(work, *args, **kwargs))
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
    """Shares running work by key; nothing is kept once it has ended."""

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
            flight = self._flights[key] = _Flight(asyncio.create_task(work()))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 or flight.task.done():
                flight.task.cancel()
                if self._flights.get(key) is flight:
                    del self._flights[key]


@dataclass(frozen=True, slots=True)
class Chore:
    """Something done again and again.

    Attributes:
        name: For the log.
        every: Seconds.
        work: One round of it; may raise :class:`storage.errors.StorageError`.
    """

    name: str
    every: float
    work: Callable[[], Awaitable[object]]


async def keep_house(chores: list[Chore]) -> None:
    """Do the chores until cancelled. One that fails is tried again when it is due the next time."""
    due = {chore.name: time.monotonic() + chore.every for chore in chores}
    while True:
        await asyncio.sleep(TICK)
        for chore in chores:
            if time.monotonic() < due[chore.name]:
                continue
            try:
                await chore.work()
            except StorageError as error:
                logger.warning("%s has to wait: %s", chore.name, error)
            except Exception:  # whatever one chore raises must not end the others
                logger.exception("%s failed", chore.name)
            due[chore.name] = time.monotonic() + chore.every
