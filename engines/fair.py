"""A queue in which tenants take turns, regardless of how much each has queued.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queuing", SIGCOMM 1996): each tenant has a
clock that advances by cost divided by weight with each of its served items, and the tenant whose clock is
furthest behind is served next. A tenant that returns starts at the queue's time, which is that of the last
served item, so that it has neither saved nor lost turns. Within a tenant, items are served in FIFO order.
"""

import heapq
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Generic, NamedTuple, TypeVar

Item = TypeVar("Item", bound=Hashable)

REMEMBERED: Final = 1_000
"""Maximum number of tenants without items, and of stale heap entries, before a clean-up."""


class _Entry(NamedTuple, Generic[Item]):
    item: Item
    cost: float
    droppable: bool


@dataclass(slots=True)
class _Tenant(Generic[Item]):
    name: str
    weight: float
    clock: float
    turn: int = -1  # number of its heap entry; its other entries are stale
    entries: deque[_Entry[Item]] = field(default_factory=deque["_Entry[Item]"])

    @property
    def load(self) -> float:
        """Number of queued items divided by the weight."""
        return len(self.entries) / self.weight


class FairQueue(Generic[Item]):
    """A weighted fair queue, whose memory is proportional to the number of queued items.

    Args:
        key: Items with equal keys can be served together.
    """

    def __init__(self, key: Callable[[Item], Hashable]) -> None:
        self._key = key
        self._now = 0.0
        self._waiting: dict[str, _Tenant[Item]] = {}
        self._owner: dict[Item, str] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._order = count()
        self._clocks: dict[str, float] = {}

    def __len__(self) -> int:
        """Number of queued items."""
        return len(self._owner)

    def __contains__(self, item: object) -> bool:
        """Whether an item is in the queue."""
        return item in self._owner

    def has(self, tenant: str) -> bool:
        """Whether the tenant has an item in the queue."""
        return tenant in self._waiting

    def push(self, item: Item, *, tenant: str, weight: float, cost: float, droppable: bool = True) -> None:
        """Queue an item.

        Args:
            item: The item.
            tenant: ID of its tenant.
            weight: The tenant's weight; replaces an earlier one.
            cost: Cost of serving it.
            droppable: Whether :meth:`make_room` may remove it.
        """
        state = self._waiting.get(tenant)
        if state is None:
            clock = max(self._now, self._clocks.pop(tenant, 0.0))
            state = self._waiting[tenant] = _Tenant(tenant, weight, clock)
            self._schedule(state)
        state.weight = weight
        state.entries.append(_Entry(item, cost, droppable))
        self._owner[item] = tenant

    def take(self, limit: int) -> list[Item]:
        """Remove and return the next item and others with its key, up to ``limit`` in all, in fair order."""
        taken: list[Item] = []
        passed: list[_Tenant[Item]] = []
        while self._heap and len(taken) < limit:
            clock, turn, name = heapq.heappop(self._heap)
            state = self._waiting.get(name)
            if state is None or state.turn != turn:
                continue
            index = self._next(state, taken)
            if index is None:
                passed.append(state)
                continue
            entry = state.entries[index]
            del state.entries[index]
            del self._owner[entry.item]
            taken.append(entry.item)
            self._now = max(self._now, clock)
            state.clock = clock + entry.cost / state.weight
            if state.entries:
                self._schedule(state)
            else:
                self._leave(state)
        for state in passed:
            self._schedule(state)
        return taken

    def remove(self, item: Item) -> None:
        """Remove an item unserved, without advancing its tenant's clock. Does nothing if it is absent."""
        name = self._owner.pop(item, None)
        if name is None:
            return
        state = self._waiting[name]
        state.entries = deque(entry for entry in state.entries if entry.item is not item)
        if not state.entries:
            self._leave(state)

    def make_room(self, tenant: str, weight: float) -> Item | None:
        """Remove the newest droppable item of the tenant with the highest load, for another tenant's item.

        Tenants that have nothing droppable are passed over.

        Args:
            tenant: The tenant with a new item.
            weight: Its weight.

        Returns:
            The removed item; ``None`` if no other tenant with a higher load has a droppable item.
        """
        own = self._waiting.get(tenant)
        wanted = (1 + (len(own.entries) if own else 0)) / weight
        for state in sorted(self._waiting.values(), key=lambda state: state.load, reverse=True):
            if state.name == tenant or state.load <= wanted:
                return None
            for entry in reversed(state.entries):
                if entry.droppable:
                    self.remove(entry.item)
                    return entry.item
        return None

    def _next(self, state: _Tenant[Item], taken: list[Item]) -> int | None:
        """Return the index of the tenant's next item that can be served with those already taken."""
        if not taken:
            return 0
        key = self._key(taken[0])
        return next((i for i, entry in enumerate(state.entries) if self._key(entry.item) == key), None)

    def _schedule(self, state: _Tenant[Item]) -> None:
        state.turn = next(self._order)
        heapq.heappush(self._heap, (state.clock, state.turn, state.name))

    def _leave(self, state: _Tenant[Item]) -> None:
        del self._waiting[state.name]
        self._clocks[state.name] = state.clock
        if not self._waiting:
            # The queue is empty, so that no tenant is ahead of others.
            self._now = max(self._now, *self._clocks.values())
            self._clocks.clear()
            self._heap.clear()
        if len(self._heap) > REMEMBERED + 2 * len(self._waiting):
            self._heap = [(waiting.clock, waiting.turn, name) for name, waiting in self._waiting.items()]
            heapq.heapify(self._heap)
        if len(self._clocks) > REMEMBERED:
            self._clocks = {name: clock for name, clock in self._clocks.items() if clock > self._now}
