"""The adaptive batcher: runs utterances of all callers in common batches.

While a batch runs, arriving utterances are queued for the next batch. Between batches the batcher waits for
more utterances only if that helps. A batch of ``n`` utterances costs ``base + item · n`` seconds. The callers
of the previous batch return one by one, after their responses have reached them. With ``k`` queued utterances
and ``r`` callers that have yet to return, one every ``pace`` seconds, there are two strategies:

- One batch of all: the engine idles ``(k + r) · pace`` while they return, and pays ``base`` once.
- Two alternating halves: one half returns while the other is spoken; the engine never idles, but pays
  ``base`` twice.

So the batcher waits for all callers if ``(k + r) · pace < base``, and otherwise until the halves are even,
``k ≥ r``: a batch of one stray caller would cost a whole ``base``.

It waits only for callers that it expects to return, and gives up when one takes longer than the slowest
recent one. So a lone caller never waits, and the first one after a burst waits once, for a short time.

An engine with slots (see :class:`engines.contract.Capabilities`) forms its own batches: it receives one
utterance per free slot, in fair order, as soon as there is one.

Context variables, such as the request of a log line, are those of the submitting task if a batch has one
caller, and unset if several callers share it.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, aclosing
from contextvars import Context
from typing import Final, TypeAlias

from engines.config import BatchingConfig
from engines.contract import (
    EngineAdapter,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    Utterance,
    stream,
)
from engines.cost import CostModel
from engines.fair import FairQueue
from engines.ticket import Ticket

logger = logging.getLogger(__name__)

Hold: TypeAlias = Callable[[], AbstractAsyncContextManager[EngineAdapter]]
"""Returns a context manager that keeps the engine loaded while a batch runs."""

GRACE: Final = 0.05
"""Wait for a returning caller before any return was measured, as a fraction of a batch of one."""

MARGIN: Final = 1.5
"""Maximum wait for a returning caller, as a multiple of the slowest recent return."""

FADING: Final = 0.97
"""Factor by which the slowest return decays with each faster one."""

LATELY: Final = 0.1
"""Weight of the newest return in the moving average of the returns."""


class Batcher:
    """Collects utterances and runs them on one engine.

    Args:
        engine: The engine, for its capabilities and batch keys.
        hold: Loads the engine; see ``ModelLease.hold``.
        config: Sizes and waits.
        concurrency: Maximum number of concurrent batches; ignored for an engine with slots.
        timeout: Maximum duration of a batch in seconds.
    """

    def __init__(
        self,
        engine: EngineAdapter,
        hold: Hold,
        config: BatchingConfig,
        *,
        concurrency: int = 1,
        timeout: float = 60.0,
    ) -> None:
        self._engine = engine
        self._hold = hold
        self._config = config
        self._timeout = timeout
        self._largest = 1 if engine.capabilities.slots else config.max_batch_size
        self._batches = concurrency
        self._queue: FairQueue[Ticket] = FairQueue(lambda ticket: ticket.key)
        self._running: dict[asyncio.Task[None], list[Ticket]] = {}
        self._costs = CostModel()
        self._returning = 0  # callers of the last batch that have not returned yet
        self._patient = False  # whether to keep waiting for them
        self._slowest: float | None = None  # seconds between two recent returns
        self._pace = 0.0  # moving average of the same
        self._last_event = 0.0
        self._changed = asyncio.Event()
        self._dispatcher: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def _concurrency(self) -> int:
        # An engine may know its number of slots only once it is loaded, or when memory runs out.
        return self._engine.capabilities.slots or self._batches

    @property
    def waiting(self) -> int:
        """Number of queued utterances."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Number of utterances that the engine is working on."""
        return sum(len(batch) for batch in self._running.values())

    def submit(
        self, utterance: Utterance, *, tenant: str = "default", weight: float = 1.0, admitted: bool = False
    ) -> Ticket:
        """Queue an utterance. Tenants take turns, see :class:`engines.fair.FairQueue`.

        If the queue is full, the newest utterance of the tenant with the most utterances is dropped in favour
        of another tenant's, so that a flood displaces itself.

        Args:
            utterance: The utterance to speak.
            tenant: ID of its tenant.
            weight: The tenant's weight relative to others.
            admitted: Whether it continues an accepted text: it is queued even if the queue is full. The
                caller limits the number of such utterances.

        Raises:
            EngineOverloaded: The queue is full.
            EngineUnavailable: The batcher is closed.
        """
        if self._closed:
            raise EngineUnavailable("The engine is shutting down.")
        if len(self._queue) >= self._config.max_queue and not admitted:
            full = EngineOverloaded(
                f"The queue of the engine {self._engine.name} is full ({self._config.max_queue} utterances).",
                retry_after=self._drain_seconds(),
            )
            victim = self._queue.make_room(tenant, weight)
            if victim is None:
                raise full
            victim.put(full)
        ticket = Ticket(utterance, self._engine.batch_key(utterance), self._dropped)
        cost = float(max(1, len(utterance.text)))
        self._queue.push(ticket, tenant=tenant, weight=weight, cost=cost, droppable=not admitted)
        self._came()
        self._changed.set()
        if self._dispatcher is None:
            self._dispatcher = asyncio.create_task(self._dispatch(), context=Context())
        return ticket

    async def close(self) -> None:
        """Cancel running batches, and fail waiting utterances with ``EngineUnavailable``."""
        self._closed = True
        tasks = [*self._running, *([self._dispatcher] if self._dispatcher else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while waiting := self._queue.take(len(self._queue)):
            for ticket in waiting:
                ticket.put(EngineUnavailable("The engine is shutting down."))

    async def _dispatch(self) -> None:
        while True:
            while not len(self._queue) or len(self._running) >= self._concurrency:
                await self._change()
            await self._gather()
            batch = self._take()
            if batch:
                task = asyncio.create_task(self._run(batch), context=_context_of(batch))
                self._running[task] = batch
                task.add_done_callback(self._finished)

    async def _change(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - None waits for good, by design
        """Wait until the queue or the running batches change; false after ``timeout`` seconds."""
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _gather(self) -> None:
        """Wait for more utterances as long as that helps."""
        cost = self._costs.estimate
        patience = GRACE * cost.of(1) if self._slowest is None else MARGIN * self._slowest
        deadline = time.monotonic() + self._config.max_wait_ms / 1000
        while self._patient and 0 < (size := len(self._queue)) < self._largest:
            all_soon = (size + self._returning) * self._pace < cost.base
            wait = min(patience, cost.base, deadline - time.monotonic())
            if wait <= 0 or not (all_soon or size < self._returning) or not await self._change(wait):
                self._patient = False

    def _take(self) -> list[Ticket]:
        """Return the next batch: the next utterance and others that can run with it, in fair order.

        The queue is divided among the free places, so that none idles beside a large batch.
        """
        free = max(1, self._concurrency - len(self._running))
        return self._queue.take(min(self._largest, math.ceil(len(self._queue) / free)))

    async def _run(self, batch: list[Ticket]) -> None:
        utterances = [ticket.utterance for ticket in batch]
        error: EngineError = EngineUnavailable("The engine ended without a result.")
        try:
            async with self._hold() as engine:
                started = time.monotonic()
                async with asyncio.timeout(self._timeout):
                    async with aclosing(stream(engine, utterances)) as items:
                        async for index, item in items:
                            batch[index].put(item)
                self._costs.observe(len(batch), time.monotonic() - started)
        except TimeoutError:
            error = EngineUnavailable(f"The engine {self._engine.name} took longer than {self._timeout:g} s.")
        except EngineError as raised:
            error = raised
        except asyncio.CancelledError:
            error = EngineUnavailable("The engine is shutting down.")
            raise
        except (
            Exception
        ) as raised:  # a plug-in's defect must reach its callers as an error, whatever it raises
            logger.exception("the engine %s failed on a batch of %d", self._engine.name, len(batch))
            error = EngineUnavailable(f"The engine {self._engine.name} failed: {type(raised).__name__}.")
        finally:
            for ticket in batch:
                ticket.put(error)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._returning = len(self._running.pop(task))
        self._patient = self._returning > 0
        self._last_event = time.monotonic()
        self._changed.set()

    def _came(self) -> None:
        """Update the statistics of returning callers with an arrival.

        Arrivals that were not waited for count as well; otherwise a too short wait would never be corrected.
        """
        if self._returning == 0:
            return
        now = time.monotonic()
        gap, self._last_event = now - self._last_event, now
        if gap > self._costs.estimate.base:
            # Waiting for it would not have paid off, so it does not count as a return.
            self._returning = 0
        else:
            self._slowest = gap if self._slowest is None else max(gap, FADING * self._slowest)
            self._pace += LATELY * (gap - self._pace)
            self._returning -= 1
        self._patient = self._patient and self._returning > 0

    def _dropped(self, ticket: Ticket) -> None:
        """Handle a reader that disconnected: free its place, and cancel a batch without readers."""
        if ticket in self._queue:
            self._queue.remove(ticket)
            return
        for task, batch in self._running.items():
            if ticket in batch and all(other.settled for other in batch):
                task.cancel()

    def _drain_seconds(self) -> float:
        cost = self._costs.estimate
        batches = math.ceil(len(self._queue) / self._largest / self._concurrency)
        return max(1.0, batches * cost.of(self._largest))


def _context_of(batch: list[Ticket]) -> Context:
    """Return the common context of the callers of a batch; an empty one if they differ."""
    context = batch[0].context
    return context if all(ticket.context == context for ticket in batch) else Context()
