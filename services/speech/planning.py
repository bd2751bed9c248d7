"""Planning of texts in a separate thread, with tenants taking turns.

A text is planned a few sentences at a time. After each turn, the next tenant's text continues, so that no
tenant waits for the whole text of another. The thread pool is separate, so that planning does not delay
encoding, storage and uploads.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from engines.contract import EngineOverloaded
from engines.fair import FairQueue
from engines.text import Passage, TextOptions, steps

INLINE_CHARS: Final = 1_000
"""Maximum characters of a text and its lexicon to plan directly on the event loop: a thread takes longer."""

TURN_CHARS: Final = 1_000
"""Characters planned in one turn, about 10 ms of work; a sentence is not divided."""

EMPTY_STEP: Final = 40
"""Number of characters that a step without passages counts as."""

MAX_WAITING: Final = 128
"""Maximum number of waiting texts; further ones are refused with status 429."""

RETRY_SECONDS: Final = 1.0
"""Suggested wait of a refused client in seconds: about the time of a full queue at the default limits."""

THREADS: Final = 1
"""Number of planning threads. Python runs one at a time: more would delay each other and the event loop."""


@dataclass(eq=False, slots=True)
class _Job:
    """A text that is being planned.

    Attributes:
        steps: The remaining steps.
        tenant: ID of the tenant.
        weight: Weight of the tenant's plan.
        done: Future of all passages.
        found: The passages so far.
        stopped: Whether the caller has gone.
    """

    steps: Iterator[tuple[Passage, ...]]
    tenant: str
    weight: float
    done: asyncio.Future[tuple[Passage, ...]]
    found: list[Passage] = field(default_factory=list[Passage])
    stopped: bool = False


class Planner:
    """Plans texts in a fair queue.

    Args:
        threads: Number of threads.
        max_waiting: Maximum number of texts in the queue.
    """

    def __init__(self, *, threads: int = THREADS, max_waiting: int = MAX_WAITING) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="planning")
        self._threads = threads
        self._max_waiting = max_waiting
        self._queue: FairQueue[_Job] = FairQueue(lambda _: None)
        self._running: set[asyncio.Future[bool]] = set()
        self._closed = False

    @property
    def busy(self) -> int:
        """Number of texts that are waiting or being planned."""
        return len(self._queue) + len(self._running)

    async def plan(
        self, text: str, options: TextOptions, *, tenant: str, weight: float = 1.0
    ) -> tuple[Passage, ...]:
        """Prepare a text for speech, see :func:`engines.text.plan`. Cancelling the call stops the work.

        If the queue is full, the newest text of the tenant with the most waiting texts, relative to its
        weight, is dropped to make room for a tenant with fewer.

        Args:
            text: The text.
            options: Options of the text frontend.
            tenant: ID of the tenant.
            weight: Weight of the tenant's plan.

        Raises:
            TextError: The text or a lexicon is invalid.
            EngineOverloaded: The queue is full, or the text was dropped to make room for another tenant's.
        """
        lexicon = sum(len(word) + len(spoken) for word, spoken in options.own_lexicon.items())
        size = len(text) + lexicon
        if size <= INLINE_CHARS:
            return tuple(passage for step in steps(text, options) for passage in step)
        self._make_room(tenant, weight)
        job = _Job(steps(text, options), tenant, weight, asyncio.get_running_loop().create_future())
        # The first turn includes the steps that process the whole text.
        self._queue.push(job, tenant=tenant, weight=weight, cost=float(size))
        self._start()
        try:
            return await job.done
        finally:
            job.stopped = True
            self._queue.remove(job)

    async def aclose(self) -> None:
        """Stop planning; pending calls of :meth:`plan` are cancelled."""
        self._closed = True
        while jobs := self._queue.take(len(self._queue)):
            for job in jobs:
                job.done.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._pool.shutdown(wait=False)

    def _make_room(self, tenant: str, weight: float) -> None:
        if len(self._queue) < self._max_waiting:
            return
        full = EngineOverloaded(
            f"{self._max_waiting} texts are already waiting for preparation.", retry_after=RETRY_SECONDS
        )
        victim = self._queue.make_room(tenant, weight)
        if victim is None:
            raise full
        if not victim.done.done():
            victim.done.set_exception(full)

    def _start(self) -> None:
        while len(self._running) < self._threads and (jobs := self._queue.take(1)):
            job = jobs[0]
            turn = asyncio.get_running_loop().run_in_executor(self._pool, _turn, job)
            self._running.add(turn)
            turn.add_done_callback(lambda turn, job=job: self._ended(turn, job))

    def _ended(self, turn: "asyncio.Future[bool]", job: _Job) -> None:
        self._running.discard(turn)
        error = None if turn.cancelled() else turn.exception()
        if job.stopped or job.done.done():
            pass
        elif turn.cancelled() or (self._closed and error is None and not turn.result()):
            job.done.cancel()
        elif error is not None:
            job.done.set_exception(error)
        elif turn.result():
            job.done.set_result(tuple(job.found))
        else:
            self._queue.push(job, tenant=job.tenant, weight=job.weight, cost=float(TURN_CHARS))
        self._start()


def _turn(job: _Job) -> bool:
    """Plan a text for one turn; return whether it is finished."""
    worked = 0
    for step in job.steps:
        if job.stopped:
            return True
        job.found += step
        # A step without passages may take as long as one with passages.
        worked += sum(len(passage.text) for passage in step) or EMPTY_STEP
        if worked >= TURN_CHARS:
            return False
    return True
