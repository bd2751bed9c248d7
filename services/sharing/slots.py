"""A few slots that many wait for, such as database connections or threads: tenants get them in turn."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, NamedTuple

from engines.fair import FairQueue


class Claimant(NamedTuple):
    """Who something is done for.

    Attributes:
        tenant: An organisation's id, or what stands for somebody who is not known yet.
        weight: Their share.
    """

    tenant: str
    weight: float = 1.0


SERVER: Final = Claimant("")
CLAIMANT: Final[ContextVar[Claimant]] = ContextVar("claimant", default=SERVER)
"""Whom the running task works for; by default the server itself."""


class Line:
    """Tasks that wait until they are called, one at a time: tenants in turn."""

    def __init__(self) -> None:
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(lambda _: None)

    def __len__(self) -> int:
        """How many wait."""
        return len(self._queue)

    def has(self, tenant: str) -> bool:
        """Whether somebody of a tenant waits."""
        return self._queue.has(tenant)

    async def wait(self, claimant: Claimant, pass_on: Callable[[], None]) -> None:
        """Wait to be called.

        Args:
            claimant: For whom.
            pass_on: Called in place of going on by one who was called, and cancelled at the same time.
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
        """Call the next; false when nobody waits."""
        while turns := self._queue.take(1):
            if not turns[0].done():
                turns[0].set_result(None)
                return True
        return False


@dataclass(slots=True)
class _Own:
    """What one tenant may hold.

    Attributes:
        slots: It may have no more.
        users: Who holds one or waits.
    """

    slots: asyncio.Semaphore
    users: int = 0


class FairSlots:
    """Slots of one event loop, each for whom the running task works.

    Args:
        limit: How many there are.
        most: That one tenant has at once. Fewer than all leave some to others, whatever the tenant does with
            its own, and however long; all of them by default.
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
            patience: Seconds to wait for it.

        Raises:
            TimeoutError: None came free in time.
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
