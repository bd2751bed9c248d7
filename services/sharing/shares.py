"""A fixed amount of a resource (streams, bytes) that tenants share, taken without waiting.

A sixteenth of ``limit`` is the *reserve*. A tenant's *fair share* is ``limit`` divided by weight among the
tenants that hold something, and at most ``limit`` minus the reserve. The rules:

- Within its fair share, a tenant may take whatever is free, but the last unit only if it holds nothing yet.
- Beyond its fair share, a tenant may take only what is free beyond the reserve.
- When the reserve is touched, tenants beyond their fair share are asked to give as much back.

So no tenant holds everything, a sole active tenant gets all but the reserve, and a new tenant gets something
at once.
"""

import math
from dataclasses import dataclass
from typing import Final, Self

RESERVE: Final = 16
"""Divisor of the limit that gives the reserve: 8 of the 128 streams that a Gateway has by default."""


@dataclass(slots=True)
class Holding:
    """The total that a tenant holds, in how many shares, and how much of it is asked back."""

    weight: float
    amount: int = 0
    shares: int = 0
    leaving: int = 0


class Shares:
    """A fixed amount, of which tenants hold shares.

    Args:
        limit: The total amount.
        sole: Whether there is only one tenant, so that no reserve is kept.
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
        """Total amount held by all tenants."""
        return self._taken

    @property
    def reserve(self) -> int:
        """Amount that a sole active tenant leaves to others."""
        return self._reserve

    def take(self, tenant: str, weight: float, amount: int = 1) -> "Share | None":
        """Take a share; ``None`` if the tenant may not have that much now.

        Args:
            tenant: ID of the tenant.
            weight: Weight of its plan, relative to other tenants.
            amount: Amount to take; 0 for a share that grows later.
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
        """Add ``amount``, which may be negative, to a holding; false if the tenant may not have that much."""
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
        """Return how much a tenant should give back to others."""
        missing = self._reserve - (self.limit - self._taken)
        over = holding.amount - self._fair(holding.weight, self._weights)
        if missing <= 0 or over <= 0:
            return 0
        every = (other.amount - self._fair(other.weight, self._weights) for other in self._holdings.values())
        return min(math.ceil(over), math.ceil(missing * over / sum(more for more in every if more > 0)))

    def end(self, tenant: str, holding: Holding) -> None:
        """Remove a tenant's share, which must be empty."""
        holding.shares -= 1
        if not holding.shares:
            del self._holdings[tenant]
            # A fresh sum, so that rounding errors do not accumulate.
            self._weights = sum(other.weight for other in self._holdings.values())


class Share:
    """The amount that one request of a tenant holds. As a context manager, released on exit.

    Args:
        shares: The resource that it is a share of.
        holding: The tenant's holding.
        tenant: ID of the tenant.
        amount: The amount held.
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
        """Change the amount; false, without a change, if the tenant may not have that much.

        Always false after :meth:`release`.
        """
        if self._ended or not self._shares.grow(self._holding, amount - self.amount):
            return False
        self.amount = amount
        return True

    def asked_back(self) -> bool:
        """Whether others need this share: the tenant is beyond its fair share, and the reserve is touched.

        Then release it as soon as possible without harm.
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
        """Give the share back; further calls do nothing."""
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
        """Return the share itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the share."""
        self.release()
