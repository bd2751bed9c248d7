"""A queue in which tenants take turns, however much one of them has put in.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queuing", SIGCOMM 1996): each tenant has a
clock that moves on by cost over weight with each of its items that is served, and the tenant whose clock is
the furthest behind is next. A tenant that was away starts at the time of the queue, which is that of the
item served last: it has neither saved up turns nor lost any. Within a tenant, first come, first served.
"""

import heapq
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Generic, NamedTuple, TypeVar

Item = TypeVar("Item", bound=Hashable)

REMEMBERED: Final = 1_000
"""Tenants without items, and places in the heap, that are kept before what is of no use is forgotten."""


class _Entry(NamedTuple, Generic[Item]):
    item: Item
    cost: float
    droppable: bool


@dataclass(slots=True)
class _Tenant(Generic[Item]):
    name: str
    weight: float
    clock: float
    turn: int = -1  # its place in the heap; others of its name are left over from before
    entries: deque[_Entry[Item]] = field(default_factory=deque["_Entry[Item]"])

    @property
    def load(self) -> float:
        """Items in the queue, by its weight."""
        return len(self.entries) / self.weight


class FairQueue(Generic[Item]):
    """A weighted fair queue. Its memory is bounded by what is queued.

    Args:
        key: What items must have in common to be served together.
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
        """Items in the queue."""
        return len(self._owner)

    def __contains__(self, item: object) -> bool:
        """Whether an item is in the queue."""
        return item in self._owner

    def has(self, tenant: str) -> bool:
        """Whether something of a tenant is in the queue."""
        return tenant in self._waiting

    def push(self, item: Item, *, tenant: str, weight: float, cost: float, droppable: bool = True) -> None:
        """Queue an item.

        Args:
            item: It.
            tenant: Whose it is.
            weight: The tenant's share; the latest one counts.
            cost: What serving it takes.
            droppable: Whether :meth:`make_room` may give it up.
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
        """Remove and give the next item, and up to ``limit`` in all that have its key, in fair order."""
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
        """Take an item out unserved; its tenant's clock stays. Nothing happens if it is not there."""
        name = self._owner.pop(item, None)
        if name is None:
            return
        state = self._waiting[name]
        state.entries = deque(entry for entry in state.entries if entry.item is not item)
        if not state.entries:
            self._leave(state)

    def make_room(self, tenant: str, weight: float) -> Item | None:
        """Take out the newest droppable item of the tenant that holds most, for one of another tenant.

        Args:
            tenant: Who wants to put something in.
            weight: Their share.

        Returns:
            What was taken out; ``None`` when the newcomer would hold as much as anybody.
        """
        own = self._waiting.get(tenant)
        wanted = (1 + (len(own.entries) if own else 0)) / weight
        most = max(self._waiting.values(), key=lambda state: state.load, default=None)
        if most is None or most.name == tenant or most.load <= wanted:
            return None
        for entry in reversed(most.entries):
            if entry.droppable:
                self.remove(entry.item)
                return entry.item
        return None

    def _next(self, state: _Tenant[Item], taken: list[Item]) -> int | None:
        """Which of a tenant's items is next; the first of all decides on the key of the rest."""
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
            # Nobody waits, so nobody is ahead of anybody.
            self._now = max(self._now, *self._clocks.values())
            self._clocks.clear()
            self._heap.clear()
        if len(self._heap) > REMEMBERED + 2 * len(self._waiting):
            self._heap = [(waiting.clock, waiting.turn, name) for name, waiting in self._waiting.items()]
            heapq.heapify(self._heap)
        if len(self._clocks) > REMEMBERED:
            self._clocks = {name: clock for name, clock in self._clocks.items() if clock > self._now}
