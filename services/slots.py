"""A few slots that many wait for, such as database connections or threads: tenants get them in turn."""

import asyncio
from collections.abc import AsyncGenerator
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
    """Slots of one event loop.

    Args:
        limit: How many there are.
        most: That one tenant has at once. Fewer than all leave some to others, whatever the tenant does with
            its own, and however long; all of them by default.
    """

    def __init__(self, limit: int, *, most: int | None = None) -> None:
        self._free = limit
        self._most = limit if most is None else most
        self._tenants: dict[str, _Own] = {}
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(lambda _: None)

    @asynccontextmanager
    async def taken(
        self, claimant: Claimant | None = None, *, patience: float | None = None
    ) -> AsyncGenerator[None, None]:
        """Hold a slot during the block.

        Args:
            claimant: For whom; without one, for whom the running task works.
            patience: Seconds to wait for it.

        Raises:
            TimeoutError: None came free in time.
        """
        tenant, weight = claimant or CLAIMANT.get()
        own = self._tenants.setdefault(tenant, _Own(asyncio.Semaphore(self._most)))
        own.users += 1
        try:
            async with AsyncExitStack() as held:
                async with asyncio.timeout(patience):
                    await held.enter_async_context(own.slots)
                    await self._take(tenant, weight)
                    held.callback(self._give_back)
                yield
        finally:
            own.users -= 1
            if not own.users:
                del self._tenants[tenant]

    async def _take(self, tenant: str, weight: float) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.push(turn, tenant=tenant, weight=weight, cost=1.0)
        try:
            await turn
        except asyncio.CancelledError:
            self._queue.remove(turn)
            if not turn.cancelled():
                self._give_back()  # it came together with the end of the wait
            raise

    def _give_back(self) -> None:
        while turns := self._queue.take(1):
            if not turns[0].done():
                turns[0].set_result(None)
                return
        self._free += 1
