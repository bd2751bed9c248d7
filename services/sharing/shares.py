"""A fixed amount of something (streams, bytes) that tenants share, taken without waiting.

Of ``limit``, a sixteenth is the *reserve*. A tenant's *fair share* is ``limit`` by weight among the tenants
that hold something, and no more than ``limit`` without the reserve. Then:

- Within its fair share a tenant takes what is free; the very last only if it holds nothing yet.
- Beyond it a tenant takes what is idle, and leaves the reserve.
- Once the reserve is touched, the tenants beyond their fair share are asked for as much back.

So nobody holds everything, one alone gets all but the reserve, and a newcomer finds something at once.
"""

import math
from dataclasses import dataclass
from typing import Final, Self

RESERVE: Final = 16
"""One part in so many is the reserve: 8 of the 128 streams that a Gateway has by default."""


@dataclass(slots=True)
class Holding:
    """What a tenant has."""

    weight: float
    amount: int = 0
    shares: int = 0
    leaving: int = 0


class Shares:
    """What tenants have of a fixed amount.

    Args:
        limit: All of it.
        sole: There is one tenant only, so nothing is kept for others.
    """

    def __init__(self, limit: int, *, sole: bool = False) -> None:
        self.limit = limit
        self._sole = sole
        self._reserve = 0 if sole else min(max(2, limit // RESERVE), limit // 2)
        self._taken = 0
        self._weights = 0.0
        self._holdings: dict[str, Holding] = {}

    @property
    def taken(self) -> int:
        """What all tenants have together."""
        return self._taken

    @property
    def reserve(self) -> int:
        """What one tenant alone leaves to others."""
        return self._reserve

    def take(self, tenant: str, weight: float, amount: int = 1) -> "Share | None":
        """Take something; ``None`` when the tenant may not have so much now.

        Args:
            tenant: Who takes it.
            weight: Of its plan, against other tenants.
            amount: How much; 0 for a share that grows.
        """
        holding = self._holdings.get(tenant) or Holding(weight)
        weights = self._weights - (holding.weight if holding.shares else 0.0) + weight
        if not self._fits(holding.amount, amount, weight, weights, first=not holding.amount):
            return None
        holding.weight, self._weights = weight, weights
        self._holdings[tenant] = holding
        holding.shares += 1
        self._add(holding, amount)
        return Share(self, holding, tenant, amount)

    def grow(self, holding: Holding, amount: int) -> bool:
        """Add ``amount``, which may be negative, to what a tenant has; false when it may not have so much."""
        if amount > 0 and not self._fits(holding.amount, amount, holding.weight, self._weights, first=False):
            return False
        self._add(holding, amount)
        return True

    def _fits(self, held: int, amount: int, weight: float, weights: float, *, first: bool) -> bool:
        left = self.limit - self._taken - amount
        if left < 0:
            return False
        if self._sole or first or amount == 0 or left >= self._reserve:
            return True
        return left >= 1 and held + amount <= self._fair(weight, weights)

    def _fair(self, weight: float, weights: float) -> float:
        return min(self.limit * weight / weights, self.limit - self._reserve)

    def _add(self, holding: Holding, amount: int) -> None:
        holding.amount += amount
        self._taken += amount

    def asked_of(self, holding: Holding) -> int:
        """How much of what a tenant has others need."""
        missing = self._reserve - (self.limit - self._taken)
        over = holding.amount - self._fair(holding.weight, self._weights)
        if missing <= 0 or over <= 0:
            return 0
        every = (other.amount - self._fair(other.weight, self._weights) for other in self._holdings.values())
        return min(math.ceil(over), math.ceil(missing * over / sum(more for more in every if more > 0)))

    def end(self, tenant: str, holding: Holding) -> None:
        """One share less of a tenant; it is empty."""
        holding.shares -= 1
        if not holding.shares:
            del self._holdings[tenant]
            # Without rounding errors that add up.
            self._weights = sum(other.weight for other in self._holdings.values())


class Share:
    """What one request of a tenant has. Given back at the end of a ``with`` block.

    Args:
        shares: Of what.
        holding: What its tenant has.
        tenant: The tenant.
        amount: How much.
    """

    def __init__(self, shares: Shares, holding: Holding, tenant: str, amount: int) -> None:
        self._shares = shares
        self._holding = holding
        self.tenant = tenant
        self.weight = holding.weight
        self.amount = amount
        self._leaving = False
        self._ended = False

    def resize(self, amount: int) -> bool:
        """Have ``amount`` from now on; false, and nothing is changed, when the tenant may not have more.

        After :meth:`release` it may not.
        """
        if self._ended or not self._shares.grow(self._holding, amount - self.amount):
            return False
        self.amount = amount
        return True

    def asked_back(self) -> bool:
        """Whether this is what others need: the tenant is beyond its fair share, and too little is left.

        Then it is to be given back as soon as that does no harm.
        """
        if self._ended:
            return False
        asked = self._shares.asked_of(self._holding)
        if self._leaving and not asked:
            self._mark(leaving=False)
        elif not self._leaving and self._holding.leaving < asked:
            self._mark(leaving=True)
        return self._leaving

    def release(self) -> None:
        """Give it back; again does nothing."""
        if self._ended:
            return
        if self._leaving:
            self._mark(leaving=False)
        self.resize(0)
        self._ended = True
        self._shares.end(self.tenant, self._holding)

    def _mark(self, *, leaving: bool) -> None:
        self._leaving = leaving
        self._holding.leaving += self.amount if leaving else -self.amount

    def __enter__(self) -> Self:
        """Hold it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self.release()
