"""Scarce slots, such as database connections or threads, that waiting tenants get in turn."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, NamedTuple

from engines.fair import FairQueue


class Claimant(NamedTuple):
    """The tenant that work is done for.

    Attributes:
        tenant: ID of the organisation, or a substitute for a caller that is not known yet.
        weight: The tenant's weight, relative to others.
    """

    tenant: str
    weight: float = 1.0


SERVER: Final = Claimant("")
CLAIMANT: Final[ContextVar[Claimant]] = ContextVar("claimant", default=SERVER)
"""The claimant that the running task works for; by default the server itself."""


class Line:
    """Tasks that wait to be called, one at a time, with tenants taking turns."""

    def __init__(self) -> None:
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(lambda _: None)

    def __len__(self) -> int:
        """Return the number of waiting tasks."""
        return len(self._queue)

    def has(self, tenant: str) -> bool:
        """Whether a task of a tenant is waiting."""
        return self._queue.has(tenant)

    async def wait(self, claimant: Claimant, pass_on: Callable[[], None]) -> None:
        """Wait to be called.

        Args:
            claimant: The tenant that the task works for.
            pass_on: Called if the task is cancelled after it was called; passes the turn on.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.push(turn, tenant=claimant.tenant, weight=claimant.weight, cost=1.0)
        try:
            await turn
        except asyncio.CancelledError:
            self._queue.remove(turn)
            if not turn.cancelled():
                pass_on()
            raise

    def call(self) -> bool:
        """Call the next task; false if none is waiting."""
        while turns := self._queue.take(1):
            if not turns[0].done():
                turns[0].set_result(None)
                return True
        return False


@dataclass(slots=True)
class _Own:
    """State of one tenant.

    Attributes:
        slots: Semaphore that limits the tenant's slots.
        users: Number of tasks that hold a slot or wait for one.
    """

    slots: asyncio.Semaphore
    users: int = 0


class FairSlots:
    """Slots of one event loop, taken for the :data:`CLAIMANT` of the running task.

    Args:
        limit: Number of slots.
        most: Maximum number of slots per tenant; by default ``limit``. With fewer, some stay available to
            others, however long the tenant holds its own.
    """

    def __init__(self, limit: int, *, most: int | None = None) -> None:
        self._free = limit
        self._most = limit if most is None else most
        self._tenants: dict[str, _Own] = {}
        self._line = Line()

    @asynccontextmanager
    async def taken(self, *, patience: float | None = None) -> AsyncGenerator[None, None]:
        """Hold a slot during the block.

        Args:
            patience: Maximum seconds to wait for a slot; ``None`` for no limit.

        Raises:
            TimeoutError: No slot became free in time.
        """
        claimant = CLAIMANT.get()
        own = self._tenants.setdefault(claimant.tenant, _Own(asyncio.Semaphore(self._most)))
        own.users += 1
        try:
            async with AsyncExitStack() as held:
                async with asyncio.timeout(patience):
                    await held.enter_async_context(own.slots)
                    if self._free:
                        self._free -= 1
                    else:
                        await self._line.wait(claimant, self._give_back)
                    held.callback(self._give_back)
                yield
        finally:
            own.users -= 1
            if not own.users:
                del self._tenants[claimant.tenant]

    def _give_back(self) -> None:
        if not self._line.call():
            self._free += 1
