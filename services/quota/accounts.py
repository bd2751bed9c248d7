"""The ledger accounts on which requests are booked, and reservations on them."""

import calendar
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from services.config import QuotaLimits
from services.config.quota import MOST_MINUTES
from services.errors import ApiError, retry_headers
from services.gate import DatabaseGate
from services.quota.writer import UsageWriter
from storage.columns import now
from storage.errors import AccountMissing, OverQuota
from storage.repositories.ledger import Ledger
from storage.repositories.usage import UsageRepository

UNITS: Final = {"characters": "characters", "audio_ms": "audio minutes"}
"""Display names of the units that accounts count, by the first part of the accounts' names."""


class RequestAccounts(NamedTuple):
    """The day of a request, and the names of the ledger accounts on which it is booked."""

    day: date
    characters_day: str
    characters_month: str
    audio_month: str


class AccountBook:
    """Creates tenants' accounts, and reserves amounts on them.

    Args:
        gate: The database, for the ledger and the usage records.
        writer: The writer of pending settlements, which is flushed before a request is refused.
        ttl: Seconds after which the reservation of a dead process is released; longer than any request may
            take.
    """

    def __init__(self, gate: DatabaseGate, writer: UsageWriter, *, ttl: float) -> None:
        self._gate = gate
        self._writer = writer
        self._ttl = ttl

    async def reserve(self, org_id: str, wanted: Mapping[str, tuple[int, int]]) -> str:
        """Reserve amounts on several accounts, all or none.

        Args:
            org_id: ID of the tenant.
            wanted: Account → amount to reserve, and limit of the account.

        Returns:
            ID of the reservation.

        Raises:
            ApiError: 429 ``insufficient_quota``.
            StorageUnavailable: The database is unavailable.
        """
        written = self._writer.written
        try:
            return await self._reserve_open(org_id, wanted)
        except AccountMissing:
            await self._open(org_id, wanted)
        except OverQuota as error:
            # Settlements of finished requests, pending or written meanwhile, release unused amounts.
            if not self._writer.waiting and self._writer.written == written:
                raise _insufficient(error) from error
            await self._writer.flush()
        try:
            return await self._reserve_open(org_id, wanted)
        except OverQuota as error:
            raise _insufficient(error) from error

    async def _reserve_open(self, org_id: str, wanted: Mapping[str, tuple[int, int]]) -> str:
        async with self._gate.write() as session:
            return await Ledger(session, org_id).reserve(wanted, ttl=self._ttl)

    async def _open(self, org_id: str, wanted: Mapping[str, tuple[int, int]]) -> None:
        """Create accounts with the recorded usage, because a limit may be set after the first use."""
        async with self._gate.write() as session:
            ledger, usage = Ledger(session, org_id), UsageRepository(session, org_id)
            for account in wanted:
                meter, _, period = account.partition("/")
                first, last = _span(period)
                sums = await usage.sums("org", first=first, last=last)
                used = sum(getattr(row, meter) for row in sums)
                await ledger.open(account, int(used))

    async def extend(self, org_id: str, reservation: str, account: str, amount: int, limit: int) -> None:
        """Reserve an additional amount on an account.

        Args:
            org_id: ID of the tenant.
            reservation: ID of the reservation.
            account: Name of the account.
            amount: Additional amount.
            limit: Limit of the account.

        Raises:
            ApiError: 429 ``insufficient_quota``.
            StorageUnavailable: The database is unavailable.
        """
        await self._writer.flush()
        try:
            async with self._gate.write() as session:
                await Ledger(session, org_id).extend(reservation, account, amount, limit)
        except OverQuota as error:
            raise _insufficient(error) from error


def accounts_at(at: datetime) -> RequestAccounts:
    """Return the accounts of the day and month of ``at``, in UTC."""
    day = at.astimezone(UTC).date()
    month = f"{day:%Y-%m}"
    return RequestAccounts(day, f"characters/{day}", f"characters/{month}", f"audio_ms/{month}")


def limited(
    limits: QuotaLimits, accounts: RequestAccounts, characters: int, audio_ms: int
) -> dict[str, tuple[int, int]]:
    """Return the amounts to reserve: account → amount and limit, for the accounts that have a limit."""
    every = {
        accounts.characters_day: (characters, limits.characters_per_day),
        accounts.characters_month: (characters, limits.characters_per_month),
        accounts.audio_month: (audio_ms, audio_limit_ms(limits)),
    }
    return {account: (amount, limit) for account, (amount, limit) in every.items() if limit is not None}


def audio_limit_ms(limits: QuotaLimits) -> int | None:
    """Return the limit of audio per month, in milliseconds; ``None`` if there is no limit."""
    minutes = limits.audio_minutes_per_month
    # The stored limit may be older than the maximum.
    return None if minutes is None else min(minutes, MOST_MINUTES) * 60_000


def _span(period: str) -> tuple[date, date]:
    """Return the first and last day of a period, such as ``2026-11`` or ``2026-11-24``."""
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
    unit = UNITS[meter]
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
