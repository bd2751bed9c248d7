"""The ``quota`` section of ``configuration.yaml``: what tenants may use."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from services.config.sections import Section


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic tells only this kind
    return value


# Not strict, because values of environment variables are text.
Limit: TypeAlias = Annotated[int, Field(ge=0, le=10**15), BeforeValidator(_no_truth)] | None
"""A limit; ``null`` is unlimited."""

MOST_MINUTES: Final = 10**12
"""Maximum limit of audio in minutes; in milliseconds, it still fits into a database's 64 bits."""

Minutes: TypeAlias = Annotated[int, Field(ge=0, le=MOST_MINUTES), BeforeValidator(_no_truth)] | None


class QuotaLimits(Section):
    """What one tenant may use; ``null``: no limit."""

    requests_per_minute: Limit = None
    """Speech requests in any 60 seconds."""
    jobs_per_minute: Limit = None
    """New jobs in any 60 seconds."""
    concurrent_streams: Limit = None
    """Concurrent speech requests."""
    characters_per_day: Limit = None
    """Characters spoken in a day (UTC)."""
    characters_per_month: Limit = None
    """Characters spoken in a calendar month (UTC)."""
    audio_minutes_per_month: Minutes = None
    """Minutes of audio spoken in a calendar month (UTC)."""
    voices: Limit = None
    """The organisation's own voices."""
    stored_bytes: Limit = None
    """Bytes of stored audio, recordings, consents and prepared voices."""


class PlanConfig(QuotaLimits):
    """A plan: the limits of the tenants that have it, and their share of the engines."""

    weight: float = Field(default=1.0, gt=0, le=1_000)
    """Share of an overloaded engine, relative to other tenants."""


class QuotaConfig(Section):
    """What tenants may use; a tenant's own limits override its plan's."""

    default_plan: str = Field(default="default", min_length=1, max_length=63)
    """The plan of tenants that name none."""
    plans: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")], PlanConfig] = Field(
        default_factory=lambda: {"default": PlanConfig()}, max_length=100
    )
    """Limits and weight of each plan."""
    when_counters_fail: Literal["closed", "open"] = "closed"
    """While Redis is unreachable, requests under per-minute or stream limits are refused with 503 (`closed`)
    or not counted (`open`)."""
