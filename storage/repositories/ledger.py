"""The ledger of quotas: spent and reserved amounts, which never exceed the limit.

An account is ``<meter>/<period>``: ``characters/2026-11-24``, ``characters/2026-11``, ``audio_ms/2026-11``,
``bytes/all``. An amount is reserved before the work, and settled with the amount that was really spent.
``used`` is the sum of settled and reserved amounts; a conditional UPDATE adds to it, so that concurrent
reservations in any number of processes cannot exceed the limit.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, TextClause, bindparam, delete, select, text
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from storage.columns import new_id, now
from storage.errors import AccountMissing, OverQuota
from storage.tables import LedgerAccount, Reservation

_RESERVE: Final = Reservation.metadata.tables[Reservation.__tablename__].insert()

_RELEASE: Final = (
    delete(Reservation)
    .where(Reservation.id.in_(bindparam("ids", expanding=True)))
    .returning(Reservation.id, Reservation.org_id, Reservation.amounts)
)


class Ledger:
    """The accounts of one tenant.

    Args:
        session: A write transaction.
        org_id: The tenant's ID.
    """

    def __init__(self, session: AsyncSession, org_id: str) -> None:
        self._session = session
        self._org_id = org_id

    async def used(self, account: str) -> int | None:
        """Return the spent and reserved amount of an account; ``None`` if it has not been opened."""
        query = select(LedgerAccount.used).where(
            LedgerAccount.org_id == self._org_id, LedgerAccount.account == account
        )
        return await self._session.scalar(query)

    async def open(self, account: str, used: int) -> None:
        """Open an account with an amount that is already spent; does nothing if it is open."""
        insert = insert_sqlite if self._session.get_bind().dialect.name == "sqlite" else insert_postgresql
        opened = insert(LedgerAccount).values(org_id=self._org_id, account=account, used=used)
        await self._session.execute(opened.on_conflict_do_nothing())

    async def reserve(self, amounts: Mapping[str, tuple[int, int]], *, ttl: float) -> str:
        """Reserve amounts on several open accounts, atomically.

        Args:
            amounts: Accounts, each with the amount to reserve and the account's limit.
            ttl: Seconds until the reservation expires; see :func:`sweep_reservations`.

        Returns:
            The reservation's ID.

        Raises:
            AccountMissing: An account is not open; the transaction must be rolled back.
            OverQuota: An account would exceed its limit; the transaction must be rolled back.
        """
        await _change(
            self._session,
            self._org_id,
            {account: amount for account, (amount, _) in amounts.items()},
            {account: limit for account, (_, limit) in amounts.items()},
        )
        reservation_id = new_id("res")
        connection = await self._session.connection()
        await connection.execute(
            _RESERVE,
            {
                "id": reservation_id,
                "org_id": self._org_id,
                "amounts": {account: amount for account, (amount, _) in amounts.items()},
                "expires_at": now() + timedelta(seconds=ttl),
            },
        )
        return reservation_id

    async def extend(self, reservation_id: str, account: str, amount: int, limit: int) -> None:
        """Increase a reservation that turns out to be too small.

        Raises:
            AccountMissing: The account is not open; the transaction must be rolled back.
            OverQuota: The account would exceed its limit; the transaction must be rolled back.
        """
        await _change(self._session, self._org_id, {account: amount}, {account: limit})
        reservation = await self._session.get(Reservation, reservation_id)
        if reservation is not None:
            held = int(reservation.amounts.get(account, 0))
            reservation.amounts = {**reservation.amounts, account: held + amount}
            await self._session.flush()

    async def add(self, account: str, amount: int, limit: int | None = None) -> None:
        """Spend an amount without a reservation; a negative amount is given back.

        Raises:
            AccountMissing: The account is not open; the transaction must be rolled back.
            OverQuota: The account would exceed its limit; the transaction must be rolled back.
        """
        await _change(
            self._session, self._org_id, {account: amount}, {} if limit is None else {account: limit}
        )


async def settle(session: AsyncSession, spent: Mapping[str, Mapping[str, int]]) -> set[str]:
    """Replace reservations of any tenants by the amounts that were spent.

    Args:
        session: A write transaction.
        spent: By reservation and account, the spent amount; 0 for missing accounts.

    Returns:
        The reservations that were settled; ones settled or given back before are ignored.
    """
    rows = list(await session.execute(_RELEASE, {"ids": sorted(spent)}))
    changes: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for reservation_id, org_id, amounts in rows:
        for account, held in amounts.items():
            changes[org_id][account] += spent[reservation_id].get(account, 0) - int(held)
    # Sorted, to avoid deadlocks in PostgreSQL.
    for org_id in sorted(changes):
        difference = {account: amount for account, amount in changes[org_id].items() if amount}
        if difference:
            await _change(session, org_id, difference, {})
    return {str(row[0]) for row in rows}


async def sweep_reservations(session: AsyncSession, before: datetime, *, limit: int = 100) -> int:
    """Give back expired reservations of any tenant, which belonged to processes that died.

    Args:
        session: A write transaction.
        before: Time before which the reservations expired.
        limit: Maximum number of reservations.

    Returns:
        The number of reservations.
    """
    query = (
        select(Reservation.id)
        .where(Reservation.expires_at < before)
        .order_by(Reservation.expires_at)
        .limit(limit)
    )
    found = (await session.scalars(query)).all()
    return len(await settle(session, {reservation_id: {} for reservation_id in found})) if found else 0


async def _change(
    session: AsyncSession, org_id: str, amounts: Mapping[str, int], limits: Mapping[str, int]
) -> None:
    """Add amounts to accounts, all or none, each up to its limit, if any."""
    connection = await session.connection()
    statement = _change_statement(len(amounts), limited=bool(limits))
    parameters: dict[str, Any] = {"org": org_id}
    for index, account in enumerate(sorted(amounts)):
        parameters[f"a{index}"] = account
        parameters[f"n{index}"] = amounts[account]
        if limits:
            parameters[f"l{index}"] = limits[account]
    changed = {row[0] for row in await connection.execute(statement, parameters)}
    for account in sorted(amounts):
        if account not in changed:
            used = await Ledger(session, org_id).used(account)
            if used is None or account not in limits:
                raise AccountMissing(account)
            raise OverQuota(account, limit=limits[account], used=used, wanted=amounts[account])


_statements: Final[dict[tuple[int, bool], TextClause]] = {}


def _change_statement(accounts: int, *, limited: bool) -> TextClause:
    """Return an UPDATE of several accounts, cached by their number.

    It is text because SQLAlchemy takes longer to build the statement than the database to run it.
    """
    known = _statements.get((accounts, limited))
    if known is not None:
        return known
    indices = range(accounts)
    amount = "CASE account " + " ".join(f"WHEN :a{i} THEN :n{i}" for i in indices) + " END"
    names = ", ".join(f":a{i}" for i in indices)
    sql = f"UPDATE ledger SET used = used + {amount} WHERE org_id = :org AND account IN ({names})"  # noqa: S608 - placeholders
    if limited:
        limit = "CASE account " + " ".join(f"WHEN :a{i} THEN :l{i}" for i in indices) + " END"
        sql += f" AND used + {amount} <= {limit}"
    numbers = [bindparam(f"n{i}", type_=BigInteger) for i in indices]
    if limited:
        numbers += [bindparam(f"l{i}", type_=BigInteger) for i in indices]
    statement = text(sql + " RETURNING account").bindparams(*numbers)
    _statements[accounts, limited] = statement
    return statement
