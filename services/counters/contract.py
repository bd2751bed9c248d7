"""Counting a tenant's requests and streams: in memory for one Gateway process, in Redis for many."""

from dataclasses import dataclass
from typing import Protocol

from services.counters.attempts import Attempts


@dataclass(frozen=True, slots=True)
class RateWindow:
    """A moving window after a hit.

    Attributes:
        allowed: Whether the hit was counted; one that was not leaves the window as it was.
        limit: Hits in the window's time.
        remaining: Hits that are left.
        reset_seconds: Until the oldest hit leaves the window.
        retry_after: Seconds until the hit would be allowed; 0 when it was.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: float
    retry_after: float


class CountersUnavailable(Exception):  # noqa: N818 - named for the state
    """Nobody counts for now.

    Args:
        reason: For the operator.
        retry_after: Seconds after which to try again.
    """

    def __init__(self, reason: str, *, retry_after: float = 1.0) -> None:
        super().__init__(f"Redis cannot be reached: {reason}")
        self.retry_after = retry_after


class StreamLease(Protocol):
    """A tenant's stream that is taken, until it is released or its process dies."""

    async def release(self) -> None:
        """Give it back; again does nothing. Where that fails it is tried again in the background."""
        ...


class Counters(Protocol):
    """The counters of all tenants. A call takes a second at most."""

    @property
    def attempts(self) -> Attempts:
        """Failed logins and their like."""
        ...

    async def hit(self, org: str, meter: str, limit: int, seconds: float, *, cost: int = 1) -> RateWindow:
        """Count ``cost`` hits in an exact moving window, all or none.

        Args:
            org: Whose they are.
            meter: What is counted.
            limit: Hits in any ``seconds``.
            seconds: The window's time.
            cost: Hits at once.

        Raises:
            CountersUnavailable: They cannot be counted.
        """
        ...

    async def clear(self, org: str, meter: str) -> None:
        """Forget the hits of a window.

        Raises:
            CountersUnavailable: They cannot be reached.
        """
        ...

    async def acquire_stream(self, org: str, limit: int) -> StreamLease | None:
        """Take one of a tenant's streams; ``None`` when all are taken.

        Args:
            org: Whose it is.
            limit: Streams at once.

        Raises:
            CountersUnavailable: They cannot be counted.
        """
        ...

    async def ping(self) -> None:
        """Ask whether they can be reached.

        Raises:
            CountersUnavailable: They cannot; with the reason.
        """
        ...
