"""The model lease: loads an engine on demand, and unloads it when idle.

::

    COLD ──hold──▶ LOADING ──▶ WARM ──idle, or another engine needs its memory──▶ COLD
                      └─error─▶ FAILED ──hold after the backoff──▶ LOADING

An engine whose licence has not been accepted is FAILED. An engine whose load crashed the process is FAILED at
first in the next process (:mod:`engines.load_record`). Memory is reserved before a load and released after an
unload (:class:`engines.memory.Room`).
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engines.acceptance import accepted, refusal
from engines.contract import EngineAdapter, EngineUnavailable, LicenseNotAccepted, WarmingUp
from engines.load_record import LoadRecord
from engines.memory import NOTHING, Boundless, Memory, NoRoom, Room, estimate, measure, reclaim

logger = logging.getLogger(__name__)

FIRST_BACKOFF_SECONDS: Final = 1.0
"""Seconds to wait after the first failed load; doubles with each failure."""

MAX_BACKOFF_SECONDS: Final = 60.0
"""Maximum backoff in seconds."""

FRESH_SECONDS: Final = 5.0
"""Seconds for which a measurement of memory is reused."""


class EngineState(StrEnum):
    """The state of an engine's lifecycle."""

    COLD = "cold"
    LOADING = "loading"
    WARM = "warm"
    FAILED = "failed"


@dataclass(slots=True)
class Figures:
    """Counters and measurements of a lease.

    Attributes:
        loads: Number of successful loads.
        failures: Number of failed loads, including those that crashed their process.
        unloads: Number of unloads, when idle or for another engine.
        load_seconds: Duration of the last load, without its warm-up; ``None`` before the first.
        warm_up_seconds: Duration of the last warm-up; ``None`` without one.
        memory: Current memory of the engine: the increase of the process since before the load.
        process: Current memory of the process and its children.
        last_used: Time of the last use in Unix seconds; ``None`` before the first.
    """

    loads: int = 0
    failures: int = 0
    unloads: int = 0
    load_seconds: float | None = None
    warm_up_seconds: float | None = None
    memory: Memory = NOTHING
    process: Memory = NOTHING
    last_used: float | None = None


class ModelLease:
    """Counts an engine's users; loads it for the first one, and unloads it some time after the last one.

    Args:
        engine: The engine, not loaded.
        idle_seconds: Seconds without a holder after which it is unloaded; 0 for never.
        load_timeout: Maximum duration of a load in seconds, including its warm-up.
        accept_license: The licence that the operator accepts.
        room: Reserves memory.
        record: Records loads that crash the process.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self,
        engine: EngineAdapter,
        *,
        idle_seconds: float,
        load_timeout: float = 600.0,
        accept_license: str | None = None,
        room: Room | None = None,
        record: LoadRecord | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._idle_seconds = idle_seconds
        self._load_timeout = load_timeout
        self._room = room or Boundless()
        self._record = record
        self._clock = clock
        self._accepted = accepted(engine, accept_license)
        self._refusal = refusal(engine, accept_license)
        self._state = EngineState.COLD if self._refusal is None else EngineState.FAILED
        self._reason = self._refusal
        self._figures = Figures()
        self._before = NOTHING  # memory of the process before the engine was loaded
        self._taken = NOTHING  # the engine's memory after its last load
        self._measured_at = -FRESH_SECONDS
        self._holders = 0
        self._failures = 0  # in a row
        self._retry_at = 0.0
        self._loading: asyncio.Task[None] | None = None
        self._unloading: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def state(self) -> EngineState:
        """The engine's current state."""
        return self._state

    @property
    def reason(self) -> str | None:
        """Reason why the engine cannot be used, while the state is ``failed``."""
        return self._reason

    @property
    def holders(self) -> int:
        """Number of current users of the engine."""
        return self._holders

    @property
    def accepted(self) -> bool | None:
        """Whether the licence has been accepted; ``None`` if it need not be."""
        return self._accepted

    @property
    def figures(self) -> Figures:
        """Counters and measurements; memory as of the last :meth:`weigh`."""
        return self._figures

    def recall(self) -> None:
        """Start with a backoff if a load crashed an earlier process, according to the record."""
        if self._record is None or self._state is not EngineState.COLD:
            return
        deaths = self._record.deaths()
        if deaths.count:
            self._state, self._reason = EngineState.FAILED, deaths.reason
            self._retry_at = self._clock() + deaths.wait
            self._figures.failures = deaths.count
            logger.error("engine %s: %s", self._engine.name, deaths.reason)

    async def weigh(self) -> None:
        """Measure the memory again, unless the last measurement is fresh."""
        if self._clock() - self._measured_at >= FRESH_SECONDS:
            await self._measure()

    @asynccontextmanager
    async def hold(self) -> AsyncGenerator[EngineAdapter, None]:
        """Keep the engine loaded while the block runs.

        Raises:
            LicenseNotAccepted: The operator has to accept the licence first.
            EngineUnavailable: The engine could not be loaded, the backoff after a failure is not over, or
                there is not enough memory.
        """
        self._holders += 1
        self._stop_timer()
        try:
            await self._ensure_loaded()
            yield self._engine
        finally:
            self._holders -= 1
            if self._state is EngineState.WARM:
                self._figures.last_used = time.time()
                if self._holders == 0:
                    self._start_timer()

    async def evict(self) -> bool:
        """Unload the engine unless it is held or loading; return whether it is now unloaded."""
        if self._unloading is None:
            if self._state in {EngineState.COLD, EngineState.FAILED}:
                return True
            if self._holders > 0 or self._state is not EngineState.WARM:
                return False
            self._stop_timer()
            self._unloading = asyncio.create_task(
                self._unload("because another engine needs its memory"), context=Context()
            )
        await asyncio.shield(self._unloading)
        return True

    async def close(self) -> None:
        """Unload permanently. Current holders lose the engine; :meth:`hold` raises from now on."""
        self._closed = True
        self._stop_timer()
        for task in (self._loading, self._unloading):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, EngineUnavailable):
                    await task
        await self._engine.close()
        self._state = EngineState.COLD
        self._room.leave()

    async def _ensure_loaded(self) -> None:
        if self._closed:
            raise EngineUnavailable("The engine is shutting down.")
        if self._refusal is not None:
            raise LicenseNotAccepted(self._refusal)
        if self._unloading is not None:
            # Shielded: a cancelled caller must not leave the engine half unloaded.
            await asyncio.shield(self._unloading)
        if self._state is EngineState.WARM:
            return
        if self._state is EngineState.FAILED and self._clock() < self._retry_at:
            wait = self._retry_at - self._clock()
            raise EngineUnavailable(f"The engine could not be loaded: {self._reason}", retry_after=wait)
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(), context=Context())
        # Shielded: other callers wait for the same load.
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        self._state = EngineState.LOADING
        try:
            await self._room.take(estimate(self._engine).most(self._taken))
            if self._record is not None:
                self._record.begin()
            async with asyncio.timeout(self._load_timeout):
                await self._timed_load()
        except NoRoom:
            raise  # the engine itself is fine: it stays cold
        except TimeoutError as error:
            raise await self._failed(f"Loading took longer than {self._load_timeout:g} s.") from error
        except EngineUnavailable as error:
            await self._failed(error.message)
            error.retry_after = max(error.retry_after, self._backoff)
            raise
        except Exception as error:  # a plug-in's defect must be reported as a failed load, whatever it raises
            logger.exception("loading the engine %s failed", self._engine.name)
            raise await self._failed(f"{type(error).__name__}: {error}") from error
        else:
            self._warm()
        finally:
            self._settle()

    def _settle(self) -> None:
        """Handle the end of a load, successful or not."""
        self._loading = None
        if self._state is EngineState.LOADING:
            self._state = EngineState.COLD
        if self._state is not EngineState.WARM:
            self._room.leave()
        if self._record is not None:
            self._record.end()

    async def _timed_load(self) -> None:
        figures = self._figures
        self._before = await asyncio.to_thread(measure)
        started = self._clock()
        await self._engine.load()
        loaded = self._clock()
        figures.load_seconds, figures.warm_up_seconds = loaded - started, None
        if isinstance(self._engine, WarmingUp):
            await self._engine.warm_up()
            figures.warm_up_seconds = self._clock() - loaded
        figures.process = await asyncio.to_thread(measure)
        figures.memory = self._taken = figures.process.since(self._before)
        self._measured_at = self._clock()

    def _warm(self) -> None:
        figures = self._figures
        figures.loads += 1
        figures.last_used = time.time()
        self._state, self._reason, self._failures = EngineState.WARM, None, 0
        self._room.keep(self._taken)
        logger.info(
            "engine %s loaded in %.3f s, warmed up in %.3f s, takes %d MB and %d MB of the GPU's memory",
            self._engine.name,
            figures.load_seconds,
            figures.warm_up_seconds or 0.0,
            figures.memory.ram // 1_000_000,
            figures.memory.vram // 1_000_000,
        )
        if self._holders == 0:
            self._start_timer()

    async def _failed(self, reason: str) -> EngineUnavailable:
        """Record a failed load; return the error for its waiters."""
        self._failures += 1
        self._figures.failures += 1
        await self._engine.close()
        await asyncio.to_thread(reclaim)
        self._state, self._reason = EngineState.FAILED, reason
        self._retry_at = self._clock() + self._backoff
        return EngineUnavailable(reason, retry_after=self._backoff)

    @property
    def _backoff(self) -> float:
        return min(FIRST_BACKOFF_SECONDS * 2.0 ** max(0, self._failures - 1), MAX_BACKOFF_SECONDS)

    def _start_timer(self) -> None:
        if self._idle_seconds > 0 and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._idle)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _idle(self) -> None:
        self._timer = None
        if self._holders == 0 and self._state is EngineState.WARM and self._unloading is None:
            why = f"after {self._idle_seconds:g} s without work"
            self._unloading = asyncio.create_task(self._unload(why), context=Context())

    async def _unload(self, why: str) -> None:
        had = self._figures.process.ram
        try:
            try:
                await self._engine.close()
            finally:
                self._state = EngineState.COLD
            await asyncio.to_thread(reclaim)
        finally:
            self._unloading = None
            self._figures.unloads += 1
            self._room.leave()
        await self._measure()
        now = self._figures.process.ram
        logger.info("engine %s unloaded %s, %d MB freed", self._engine.name, why, (had - now) // 1_000_000)

    async def _measure(self) -> None:
        self._measured_at = self._clock()
        process = await asyncio.to_thread(measure)
        self._figures.process = process
        if self._state is EngineState.WARM:
            self._figures.memory = process.since(self._before)
            self._room.keep(self._figures.memory)
        else:
            self._figures.memory = NOTHING
