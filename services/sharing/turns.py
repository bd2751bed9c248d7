"""CPU time within a Gateway, which tenants get in turn.

An event loop runs all ready callbacks before it polls for new events: a hundred streams with audio to encode
would delay a new request by all of them at each of its steps. So tasks with recurring work wait for a turn
before each piece of it, and each iteration of the loop has one turn.
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
"""Seconds after a change of tenant for which several tenants count as active."""

MAX_GAP_SECONDS: Final = 0.01
"""Maximum gap between two turns, in seconds."""

THREADS: Final = os.cpu_count() or 1
"""Number of threads, and of pieces of audio that are compressed at once."""


class Turns:
    """Turns on one event loop and in separate threads, for the ``CLAIMANT`` of the running task.

    While several tenants are active, the loop is left as much time between two turns as the last one took,
    for the many short steps of new requests. A tenant with no other task waiting does not wait for the end of
    such a gap.
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
        """Wait for a turn on the event loop: some milliseconds of work, until the caller's next ``await``."""
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
        """End the turn, after its work and the loop's other ready callbacks."""
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
        """Run ``work``, such as compressing audio, in a dedicated thread pool.

        It does not wait for uploads, passwords or voices, and tenants take turns in it. Otherwise it is like
        :func:`services.tasks.in_thread`.
        """
        async with self._threads.taken():
            self._pool = self._pool or ThreadPoolExecutor(THREADS, thread_name_prefix="encoding")
            return await in_pool(self._pool, work, *args, **kwargs)

    def close(self) -> None:
        """Shut the threads down; they are started again when needed."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None
