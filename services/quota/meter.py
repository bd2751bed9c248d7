"""Reserves usage before synthesis, and settles it with what was spoken.

The characters of the whole text (per day and month) and an upper estimate of its audio (per month) are
reserved before anything is spoken. Audio beyond the estimate is reserved before it is sent, so that a tenant
never gets more than its limit. Tenants without limits need no database access to reserve.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from services.config import QuotaLimits
from services.errors import ApiError
from services.quota.accounts import AccountBook, RequestAccounts, accounts_at, audio_limit_ms, limited
from services.quota.writer import Settlement, UsageWriter
from services.tenancy.principal import Principal
from storage.columns import now
from storage.repositories.usage import Usage

Outcome: TypeAlias = Literal["ok", "failed", "hangup"]

MORE_SECONDS: Final = 10.0
"""Seconds of audio to reserve at a time if the estimate was too small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """The usage that a request is expected to have.

    Attributes:
        kind: ``speech`` or ``job``.
        engine: Name of the engine.
        voice: ID of a tenant's own voice; otherwise the voice as the client named it.
        characters: Number of characters of the text to book.
        audio_seconds: Upper estimate of its audio.
        request_id: ID of the request.
        external_user: The client's own user that the request is made for.
    """

    kind: str
    engine: str
    voice: str
    characters: int
    audio_seconds: float
    request_id: str | None = None
    external_user: str | None = None


class Booking:
    """The reserved usage of one request, which is settled once.

    Args:
        book: The accounts, to extend the reservation.
        writer: Writes the usage record.
        principal: The caller.
        request: The expected usage.
        accounts: The accounts on which the request is booked.
        limits: The tenant's limits.
        reservation: ID of the reservation; ``None`` if the tenant has no limits.
    """

    def __init__(
        self,
        book: AccountBook,
        writer: UsageWriter,
        principal: Principal,
        request: Demand,
        accounts: RequestAccounts,
        limits: QuotaLimits,
        reservation: str | None,
    ) -> None:
        self._book = book
        self._writer = writer
        self._principal = principal
        self._request = request
        self._accounts = accounts
        self._limits = limits
        self._reservation = reservation
        self._audio_held = request.audio_seconds
        self._settled = False

    async def allow(self, seconds: float) -> None:
        """Ensure that enough audio is reserved. Call before sending it.

        Args:
            seconds: Seconds of audio from the start of the speech.

        Raises:
            ApiError: 429 ``insufficient_quota``.
            StorageUnavailable: The database is unavailable.
        """
        if self._reservation is None or seconds <= self._audio_held:
            return
        # More than needed, so that not every piece reserves; only what is needed if the limit is near.
        needed = seconds - self._audio_held
        try:
            await self._hold(max(MORE_SECONDS, needed))
        except ApiError:
            await self._hold(needed)

    def settle(
        self, outcome: Outcome, *, characters: int, audio_seconds: float, latency: float | None
    ) -> None:
        """Book what was spoken, and release the rest. Later calls do nothing.

        Args:
            outcome: How the request ended.
            characters: Number of characters to book.
            audio_seconds: Seconds of audio to book.
            latency: Seconds until the first audio; ``None`` if there was none.
        """
        if self._settled:
            return
        self._settled = True
        request, accounts = self._request, self._accounts
        audio_ms = _ms(audio_seconds)
        record: Usage = {
            "org_id": self._principal.org_id,
            "at": now(),
            "day": accounts.day,
            "kind": request.kind,
            "outcome": outcome,
            "request_id": request.request_id,
            "engine": request.engine,
            "voice": _storable(request.voice),
            "characters": characters,
            "audio_ms": audio_ms,
            "latency_ms": None if latency is None else _ms(latency),
            "user_id": self._principal.user_id,
            "key_id": self._principal.key_id,
            "external_user": None if request.external_user is None else _storable(request.external_user),
        }
        spent = {
            accounts.characters_day: characters,
            accounts.characters_month: characters,
            accounts.audio_month: audio_ms,
        }
        self._writer.put(Settlement(record, self._reservation, spent))

    async def _hold(self, seconds: float) -> None:
        limit = audio_limit_ms(self._limits)
        if self._reservation is not None and limit is not None:
            account = self._accounts.audio_month
            await self._book.extend(self._principal.org_id, self._reservation, account, _ms(seconds), limit)
        self._audio_held += seconds


class UsageMeter:
    """Reserves and books the usage of requests.

    Args:
        book: The accounts.
        writer: Writes the usage records.
    """

    def __init__(self, book: AccountBook, writer: UsageWriter) -> None:
        self._book = book
        self._writer = writer

    async def reserve(self, principal: Principal, limits: QuotaLimits, request: Demand) -> Booking:
        """Reserve the expected usage of a request.

        Args:
            principal: The caller.
            limits: The limits of the caller's tenant.
            request: The expected usage.

        Raises:
            ApiError: 429 ``insufficient_quota``.
            StorageUnavailable: The tenant has limits, and the database is unavailable.
        """
        accounts = accounts_at(now())
        wanted = limited(limits, accounts, request.characters, _ms(request.audio_seconds))
        reservation = await self._book.reserve(principal.org_id, wanted) if wanted else None
        return Booking(self._book, self._writer, principal, request, accounts, limits, reservation)

    async def flush(self) -> None:
        """Write pending usage now instead of after :data:`services.quota.writer.GATHER_SECONDS`.

        Raises:
            StorageUnavailable: The database is unavailable.
        """
        await self._writer.flush()


def _storable(text: str) -> str:
    """Return a client's text in a form that all databases accept."""
    return text[:200].replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _ms(seconds: float) -> int:
    return math.ceil(seconds * 1000)
