"""Reserves before synthesis, and settles with what was really spoken.

Characters of a day and a month, and audio of a month, are reserved before anything is spoken: all of the
text, and an upper estimate of its audio. Audio beyond the estimate is reserved before it is sent, so that
a tenant is never sent more than its limit. Limits that a tenant does not have cost nothing.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from services.config import QuotaLimits
from services.errors import ApiError
from services.quota.accounts import AccountBook, Accounts, accounts_at, audio_limit_ms, limited
from services.quota.writer import Settlement, UsageWriter
from services.tenancy.principal import Principal
from storage.columns import now
from storage.repositories.usage import Usage

Outcome: TypeAlias = Literal["ok", "failed", "hangup"]

MORE_SECONDS: Final = 10.0
"""Seconds of audio that are reserved at once if the estimate was too small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """The known facts of a request before it is spoken.

    Attributes:
        kind: ``speech`` or ``job``.
        engine: By its name.
        voice: By the id the client gave.
        characters: Of the text.
        audio_seconds: An upper estimate.
        request_id: Of the request.
        external_user: The customer the client acts for.
    """

    kind: str
    engine: str
    voice: str
    characters: int
    audio_seconds: float
    request_id: str | None = None
    external_user: str | None = None


class Booking:
    """One request's usage. Settled exactly once.

    Args:
        book: Reserves more.
        writer: Writes the usage.
        principal: Whose it is.
        request: What is spoken.
        accounts: Those it is booked on.
        limits: Of the tenant.
        reservation: Of the ledger; ``None`` when the tenant has no limits.
    """

    def __init__(
        self,
        book: AccountBook,
        writer: UsageWriter,
        principal: Principal,
        request: Demand,
        accounts: Accounts,
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
        """Ensure that this much audio, counted from the start, is reserved before it is sent.

        Raises:
            ApiError: 429 ``insufficient_quota``.
            StorageUnavailable: The database is away.
        """
        if self._reservation is None or seconds <= self._audio_held:
            return
        # A little more than needed, so that not every piece reserves; but no more than is allowed.
        needed = seconds - self._audio_held
        try:
            await self._hold(max(MORE_SECONDS, needed))
        except ApiError:
            await self._hold(needed)

    def settle(
        self, outcome: Outcome, *, characters: int, audio_seconds: float, latency: float | None
    ) -> None:
        """Book what was really spoken and release the rest. Later calls do nothing.

        Args:
            outcome: How it ended.
            characters: Of the text that was spoken.
            audio_seconds: That were spoken.
            latency: Seconds until the first audio.
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
    """Books the usage of requests.

    Args:
        book: Reserves.
        writer: Writes what was used.
    """

    def __init__(self, book: AccountBook, writer: UsageWriter) -> None:
        self._book = book
        self._writer = writer

    async def reserve(self, principal: Principal, limits: QuotaLimits, request: Demand) -> Booking:
        """Reserve what a request may use.

        Args:
            principal: Whose it is.
            limits: Of their tenant.
            request: What is spoken.

        Raises:
            ApiError: 429 ``insufficient_quota``.
            StorageUnavailable: The tenant has limits, and the database is away.
        """
        accounts = accounts_at(now())
        wanted = limited(limits, accounts, request.characters, _ms(request.audio_seconds))
        reservation = await self._book.reserve(principal.org_id, wanted) if wanted else None
        return Booking(self._book, self._writer, principal, request, accounts, limits, reservation)

    async def flush(self) -> None:
        """Write pending usage now instead of after :data:`services.quota.writer.GATHER_SECONDS`.

        Raises:
            StorageUnavailable: The database is away.
        """
        await self._writer.flush()


def _storable(text: str) -> str:
    """A client's text in a form that every database accepts."""
    return text[:200].replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _ms(seconds: float) -> int:
    return math.ceil(seconds * 1000)
