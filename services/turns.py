"""The processor's time within a Gateway: tenants get it in turn.

An event loop calls all that is ready before it looks for what has come meanwhile: a hundred streams with
audio to encode would keep a new request waiting for all of them at each of its steps. So whoever has work
that comes again and again waits for a turn before each piece of it; each round of the loop has one turn.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from engines.fair import FairQueue
from services.slots import CLAIMANT, FairSlots
from services.threads import in_pool

P = ParamSpec("P")
T = TypeVar("T")


THREADS: Final = os.cpu_count() or 1
"""Pieces of audio that are compressed at once."""


class Turns:
    """Turns on one event loop, and in threads beside it; each for whom the running task works."""

    def __init__(self) -> None:
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(lambda _: None)
        self._given = False
        self._pool: ThreadPoolExecutor | None = None
        self._threads = FairSlots(THREADS)

    async def wait(self) -> None:
        """Wait for a turn on the event loop: milliseconds of work, until the caller awaits something."""
        loop = asyncio.get_running_loop()
        if not self._given:
            self._given = True
            loop.call_soon(self._next)
            return
        tenant, weight = CLAIMANT.get()
        turn: asyncio.Future[None] = loop.create_future()
        self._queue.push(turn, tenant=tenant, weight=weight, cost=1.0)
        try:
            await turn
        finally:
            self._queue.remove(turn)

    def _next(self) -> None:
        while turns := self._queue.take(1):
            if not turns[0].done():
                turns[0].set_result(None)
                asyncio.get_running_loop().call_soon(self._next)
                return
        self._given = False

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work``, such as compressing audio, in a thread that does nothing else.

        It waits for no upload, password or voice, and for another tenant's work only while that runs. See
        :func:`services.threads.in_thread`.
        """
        async with self._threads.taken():
            self._pool = self._pool or ThreadPoolExecutor(THREADS, thread_name_prefix="encoding")
            return await in_pool(self._pool, work, *args, **kwargs)

    def close(self) -> None:
        """End the threads; they come again when they are needed."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None
