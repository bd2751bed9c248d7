"""Reserving before the work, settling what was really spoken.

Characters of a day and a month, and audio of a month, are reserved before anything is spoken: all of the
text, and an upper estimate of its audio. Audio beyond the estimate is reserved before it is sent, so that
a tenant is never sent more than its limit. Limits that a tenant does not have cost nothing.
"""

import calendar
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias

from services.config import QuotaConfig, QuotaLimits
from services.config.quota import MOST_MINUTES
from services.errors import ApiError, retry_headers
from services.gate import DatabaseGate
from services.quota.limits import allowance
from services.quota.writer import Settlement, UsageWriter
from services.tenancy.principal import Principal
from storage.columns import now
from storage.errors import AccountMissing, OverQuota
from storage.repositories.ledger import Ledger
from storage.repositories.usage import UsageRepository

Outcome: TypeAlias = Literal["ok", "failed", "hangup"]

MORE_SECONDS: Final = 10.0
"""Audio that is reserved at once when the estimate turns out too small."""

METERS: Final = {"characters": "characters", "audio_ms": "audio minutes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is known of a request before it is spoken.

    Attributes:
        kind: ``speech`` or ``job``.
        engine: By its name.
        voice: By the id the client gave.
        characters: Of the text.
        audio_seconds: An upper estimate.
        request_id: Of the request.
        external_user: Whom the client speaks for.
    """

    kind: str
    engine: str
    voice: str
    characters: int
    audio_seconds: float
    request_id: str | None = None
    external_user: str | None = None


class _Accounts(NamedTuple):
    day: date
    characters_day: str
    characters_month: str
    audio_month: str


class Meter:
    """Books what requests use.

    Args:
        gate: The ledger and the usage records.
        config: The plans.
        writer: Writes what need not be written at once.
        ttl: Seconds after which the reservation of a process that died is given back; longer than any
            request may take.
    """

    def __init__(self, gate: DatabaseGate, config: QuotaConfig, writer: UsageWriter, *, ttl: float) -> None:
        self._gate = gate
        self._config = config
        self._writer = writer
        self._ttl = ttl

    async def reserve(self, principal: Principal, request: Demand) -> "Booking":
        """Reserve what a request may use.

        Raises:
            ApiError: 429 ``insufficient_quota``.
            StorageUnavailable: The tenant has limits, and the database is away.
        """
        limits = allowance(principal, self._config).limits
        accounts = _accounts(now())
        wanted = _wanted(limits, accounts, request.characters, _ms(request.audio_seconds))
        reservation = None
        if wanted:
            reservation = await self._reserve(principal.org_id, wanted)
        return Booking(self, principal, request, accounts, limits, reservation)

    async def extend(self, booking: "Booking", amount_ms: int) -> None:
        """Reserve more audio for a booking.

        Raises:
            ApiError: 429 ``insufficient_quota``.
            StorageUnavailable: The database is away.
        """
        limit = _audio_limit(booking.limits)
        if booking.reservation is None or limit is None:
            return
        await self._writer.flush()
        try:
            async with self._gate.write() as session:
                ledger = Ledger(session, booking.principal.org_id)
                await ledger.extend(booking.reservation, booking.accounts.audio_month, amount_ms, limit)
        except OverQuota as error:
            raise _insufficient(error) from error

    def settle(self, settlement: Settlement) -> None:
        """Write what a request used, within :data:`services.quota.writer.PAUSE`."""
        self._writer.put(settlement)

    async def flush(self) -> None:
        """Write what requests used until now.

        Raises:
            StorageUnavailable: The database is away.
        """
        await self._writer.flush()

    async def _reserve(self, org_id: str, wanted: Mapping[str, tuple[int, int]]) -> str:
        try:
            return await self._reserve_open(org_id, wanted)
        except AccountMissing:
            await self._open(org_id, wanted)
        except OverQuota as error:
            if not self._writer.waiting:
                raise _insufficient(error) from error
            # Requests that have ended may have something to give back.
            await self._writer.flush()
        try:
            return await self._reserve_open(org_id, wanted)
        except OverQuota as error:
            raise _insufficient(error) from error

    async def _reserve_open(self, org_id: str, wanted: Mapping[str, tuple[int, int]]) -> str:
        async with self._gate.write() as session:
            return await Ledger(session, org_id).reserve(wanted, ttl=self._ttl)

    async def _open(self, org_id: str, wanted: Mapping[str, tuple[int, int]]) -> None:
        """Open accounts with what the usage records say was spent, since limits may come later than use."""
        async with self._gate.write() as session:
            ledger, usage = Ledger(session, org_id), UsageRepository(session, org_id)
            for account in wanted:
                meter, _, period = account.partition("/")
                first, last = _span(period)
                sums = await usage.sums("org", first=first, last=last)
                used = sum(getattr(row, meter) for row in sums)
                await ledger.open(account, int(used))


class Booking:
    """One request's use. Settled exactly once.

    Args:
        meter: Made it.
        principal: Whose it is.
        request: What is spoken.
        accounts: It is booked on.
        limits: Of the tenant.
        reservation: Of the ledger; ``None`` when the tenant has no limits.
    """

    def __init__(
        self,
        meter: Meter,
        principal: Principal,
        request: Demand,
        accounts: _Accounts,
        limits: QuotaLimits,
        reservation: str | None,
    ) -> None:
        self._meter = meter
        self.principal = principal
        self.request = request
        self.accounts = accounts
        self.limits = limits
        self.reservation = reservation
        self._audio_held = request.audio_seconds
        self._settled = False

    async def allow(self, seconds: float) -> None:
        """Make sure that so much audio, from the beginning, is reserved before it is sent.

        Raises:
            ApiError: 429 ``insufficient_quota``.
            StorageUnavailable: The database is away.
        """
        if self.reservation is None or seconds <= self._audio_held:
            return
        # A little more than needed, so that not every piece asks; but not what would be refused.
        needed = seconds - self._audio_held
        try:
            await self._hold(max(MORE_SECONDS, needed))
        except ApiError:
            await self._hold(needed)

    def settle(
        self, outcome: Outcome, *, characters: int, audio_seconds: float, latency: float | None
    ) -> None:
        """Book what was really spoken and give the rest back. Later calls do nothing.

        Args:
            outcome: How it ended.
            characters: Of the text that was spoken.
            audio_seconds: That were spoken.
            latency: Seconds until the first audio.
        """
        if self._settled:
            return
        self._settled = True
        request, accounts = self.request, self.accounts
        audio_ms = _ms(audio_seconds)
        record = {
            "org_id": self.principal.org_id,
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
            "user_id": self.principal.user_id,
            "key_id": self.principal.key_id,
            "external_user": None if request.external_user is None else _storable(request.external_user),
        }
        spent = {
            accounts.characters_day: characters,
            accounts.characters_month: characters,
            accounts.audio_month: audio_ms,
        }
        self._meter.settle(Settlement(record, self.reservation, spent))

    async def _hold(self, seconds: float) -> None:
        await self._meter.extend(self, _ms(seconds))
        self._audio_held += seconds


def _accounts(at: datetime) -> _Accounts:
    day = at.astimezone(UTC).date()
    month = f"{day:%Y-%m}"
    return _Accounts(day, f"characters/{day}", f"characters/{month}", f"audio_ms/{month}")


def _wanted(
    limits: QuotaLimits, accounts: _Accounts, characters: int, audio_ms: int
) -> dict[str, tuple[int, int]]:
    every = {
        accounts.characters_day: (characters, limits.characters_per_day),
        accounts.characters_month: (characters, limits.characters_per_month),
        accounts.audio_month: (audio_ms, _audio_limit(limits)),
    }
    return {account: (amount, limit) for account, (amount, limit) in every.items() if limit is not None}


def _audio_limit(limits: QuotaLimits) -> int | None:
    minutes = limits.audio_minutes_per_month
    # A limit may have been set when higher ones were allowed.
    return None if minutes is None else min(minutes, MOST_MINUTES) * 60_000


def _span(period: str) -> tuple[date, date]:
    """The first and the last day of ``2026-11`` or ``2026-11-24``."""
    parts = [int(part) for part in period.split("-")]
    if len(parts) == 3:  # noqa: PLR2004 - year, month, day
        day = date(*parts)
        return day, day
    year, month = parts
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def _insufficient(error: OverQuota) -> ApiError:
    meter, _, period = error.account.partition("/")
    _, last = _span(period)
    renewed = datetime.combine(last + timedelta(days=1), datetime.min.time(), UTC)
    unit = METERS[meter]
    of, used = error.limit, error.used
    if meter == "audio_ms":
        of, used = of // 60_000, math.floor(used / 60_000)
    span = "day" if period.count("-") == 2 else "month"  # noqa: PLR2004 - year, month, day
    message = (
        f"The organisation's quota of {of} {unit} a {span} does not allow this: {used} are used or reserved. "
        f"It resets at {renewed:%Y-%m-%dT%H:%MZ}."
    )
    return ApiError(
        429,
        message,
        kind="insufficient_quota",
        code="insufficient_quota",
        headers=retry_headers((renewed - now()).total_seconds()),
    )


def _storable(text: str) -> str:
    """What a client wrote, as every database takes it."""
    return text[:200].replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _ms(seconds: float) -> int:
    return math.ceil(seconds * 1000)
