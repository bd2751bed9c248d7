"""Making texts ready to be spoken beside the event loop, tenants in turn.

A text is planned some sentences at a time: after each turn the next tenant's text goes on, so that nobody
waits for all of another's. Threads of their own, so that encoding, storage and uploads wait for none of it.
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
"""A text and lexicon no longer than this are planned at once, on the event loop: a thread takes longer."""

TURN_CHARS: Final = 1_000
"""Characters planned in one turn, about 10 ms of work; a sentence is not divided."""

EMPTY_STEP: Final = 40
"""Characters that a step without passages counts for."""

MAX_WAITING: Final = 128
"""Texts that wait for their turn; one more is refused with a 429."""

RETRY_SECONDS: Final = 1.0
"""Seconds: the whole queue takes about this long at the default limits."""

THREADS: Final = 1
"""Python runs one at a time: more would wait for each other, and the event loop for all of them."""


@dataclass(eq=False, slots=True)
class _Job:
    """A text on its way.

    Attributes:
        steps: What is left of the work.
        tenant: Whose it is.
        weight: Their share.
        done: Gets the passages.
        found: The passages so far.
        stopped: Nobody wants it any more.
    """

    steps: Iterator[tuple[Passage, ...]]
    tenant: str
    weight: float
    done: asyncio.Future[tuple[Passage, ...]]
    found: list[Passage] = field(default_factory=list[Passage])
    stopped: bool = False


class Planner:
    """Plans texts.

    Args:
        threads: At work at once.
        max_waiting: Texts in the queue.
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
        """Texts that wait or are worked on."""
        return len(self._queue) + len(self._running)

    async def plan(
        self, text: str, options: TextOptions, *, tenant: str, weight: float = 1.0
    ) -> tuple[Passage, ...]:
        """Make a text ready to be spoken, see :func:`engines.text.plan`. Cancelling it stops the work.

        When the queue is full, the newest text of the tenant that holds most makes room for another's.

        Args:
            text: The text.
            options: How.
            tenant: Whose it is.
            weight: The tenant's share.

        Raises:
            TextError: The text or a lexicon is at fault.
            EngineOverloaded: The queue is full.
        """
        lexicon = sum(len(word) + len(spoken) for word, spoken in options.own_lexicon.items())
        size = len(text) + lexicon
        if size <= INLINE_CHARS:
            return tuple(passage for step in steps(text, options) for passage in step)
        self._make_room(tenant, weight)
        job = _Job(steps(text, options), tenant, weight, asyncio.get_running_loop().create_future())
        # The first turn does what is done to all of the text.
        self._queue.push(job, tenant=tenant, weight=weight, cost=float(size))
        self._start()
        try:
            return await job.done
        finally:
            job.stopped = True
            self._queue.remove(job)

    async def aclose(self) -> None:
        """Stop; what is waited for is cancelled."""
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
    """Work on a text for one turn; whether it is done."""
    worked = 0
    for step in job.steps:
        if job.stopped:
            return True
        job.found += step
        # A step without passages may have taken as long as one with some.
        worked += sum(len(passage.text) for passage in step) or EMPTY_STEP
        if worked >= TURN_CHARS:
            return False
    return True
