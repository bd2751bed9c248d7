"""The processor's time within a Gateway: tenants get it in turn.

An event loop calls all that is ready before it looks for what has come meanwhile: a hundred streams with
audio to encode would keep a new request waiting for all of them at each of its steps. So whoever has work
that comes again and again waits for a turn before each piece of it; each round of the loop has one turn.
"""

import asyncio
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from services.sharing.slots import CLAIMANT, FairSlots, Line
from services.tasks import in_pool

P = ParamSpec("P")
T = TypeVar("T")

LATELY_SECONDS: Final = 1.0
"""Seconds for which a tenant counts as at work after its last turn."""

MAX_GAP_SECONDS: Final = 0.01
"""Seconds, at most."""

THREADS: Final = os.cpu_count() or 1
"""Pieces of audio that are compressed at once."""


class Turns:
    """Turns on one event loop, and in threads beside it; each for whom the running task works.

    While several tenants are at work, the loop is left as much time between two turns as the last one took:
    the steps of a new request are short and many, and go on there. A tenant that has nothing else waiting
    does not wait for the end of such a gap.
    """

    def __init__(self) -> None:
        self._line = Line()
        self._taken = False
        self._gap = False
        self._began = 0.0
        self._last: str | None = None
        self._several = -math.inf
        self._pool: ThreadPoolExecutor | None = None
        self._threads = FairSlots(THREADS)

    async def wait(self) -> None:
        """Wait for a turn on the event loop: milliseconds of work, until the caller awaits something."""
        claimant = CLAIMANT.get()
        if self._gap and not self._line.has(claimant.tenant):
            return
        if self._taken:
            await self._line.wait(claimant, self._next)
        self._take(claimant.tenant)

    def _take(self, tenant: str) -> None:
        loop = asyncio.get_running_loop()
        self._taken = True
        self._began = loop.time()
        if tenant != self._last:
            if self._last is not None:
                self._several = self._began
            self._last = tenant
        loop.call_soon(self._end)

    def _end(self) -> None:
        """The work of a turn is done, and what else was ready."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if len(self._line) and now - self._several < LATELY_SECONDS:
            self._gap = True
            loop.call_later(min(now - self._began, MAX_GAP_SECONDS), self._next)
        else:
            self._next()

    def _next(self) -> None:
        self._gap = False
        self._taken = self._line.call()

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work``, such as compressing audio, in a thread that does nothing else.

        It waits for no upload, password or voice, and for another tenant's work only while that runs. See
        :func:`services.tasks.in_thread`.
        """
        async with self._threads.taken():
            self._pool = self._pool or ThreadPoolExecutor(THREADS, thread_name_prefix="encoding")
            return await in_pool(self._pool, work, *args, **kwargs)

    def close(self) -> None:
        """End the threads; they come again when they are needed."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None
