"""The interface of counters: in memory for one Gateway process, in Redis for several."""

from dataclasses import dataclass
from typing import Protocol

from services.counters.attempts import Attempts


@dataclass(frozen=True, slots=True)
class RateWindow:
    """The state of a sliding window after a hit.

    Attributes:
        allowed: Whether the hit was allowed; only allowed hits are counted.
        limit: Maximum number of hits in the window.
        remaining: Number of hits left.
        reset_seconds: Seconds until the oldest hit leaves the window.
        retry_after: Seconds until the hit would be allowed; 0 if it was allowed.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: float
    retry_after: float


class CountersUnavailable(Exception):  # noqa: N818 - named for the state
    """The counters cannot be reached now.

    Args:
        reason: The reason, for the operator.
        retry_after: Seconds after which to retry.
    """

    def __init__(self, reason: str, *, retry_after: float = 1.0) -> None:
        super().__init__(f"Redis cannot be reached: {reason}")
        self.retry_after = retry_after


class StreamLease(Protocol):
    """One of a tenant's concurrent streams, taken until it is released or its process dies."""

    async def release(self) -> None:
        """Release the stream; idempotent. Failures are retried in the background."""
        ...


class Counters(Protocol):
    """Counters of all tenants. A call takes at most a second."""

    @property
    def attempts(self) -> Attempts:
        """Counters of failed attempts, such as logins."""
        ...

    async def hit(self, org: str, meter: str, limit: int, seconds: float, *, cost: int = 1) -> RateWindow:
        """Count ``cost`` hits in an exact sliding window, all or none.

        Args:
            org: ID of the tenant.
            meter: Name of the counter, such as ``requests``.
            limit: Maximum number of hits in any ``seconds``.
            seconds: Length of the window in seconds.
            cost: Number of hits to count.

        Raises:
            CountersUnavailable: The counters cannot be reached.
        """
        ...

    async def clear(self, org: str, meter: str) -> None:
        """Reset a window.

        Args:
            org: ID of the tenant.
            meter: Name of the counter.

        Raises:
            CountersUnavailable: The counters cannot be reached.
        """
        ...

    async def acquire_stream(self, org: str, limit: int) -> StreamLease | None:
        """Take one of a tenant's streams; return ``None`` if all are taken.

        Args:
            org: ID of the tenant.
            limit: Maximum number of concurrent streams.

        Raises:
            CountersUnavailable: The counters cannot be reached.
        """
        ...

    async def ping(self) -> None:
        """Check that the counters can be reached.

        Raises:
            CountersUnavailable: They cannot be reached; the message has the reason.
        """
        ...
