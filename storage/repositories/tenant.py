"""The base class of the repositories of one tenant."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped


class Identified(Protocol):
    """A row with an ID."""

    id: Mapped[str]


class Owned(Protocol):
    """A row that belongs to a tenant."""

    org_id: Mapped[str]


class OwnedWithId(Identified, Owned, Protocol):
    """A row with an ID that belongs to a tenant."""


Row = TypeVar("Row", bound=Identified)
OwnRow = TypeVar("OwnRow", bound=Owned)
OwnRowWithId = TypeVar("OwnRowWithId", bound=OwnedWithId)


class TenantRepository:
    """Reads and writes the rows of one tenant.

    Args:
        session: A transaction.
        org_id: The tenant's ID.
    """

    def __init__(self, session: AsyncSession, org_id: str) -> None:
        self._session = session
        self._org_id = org_id

    def _own(self, table: type[OwnRow], *where: ColumnElement[bool]) -> Select[OwnRow]:
        """Select the tenant's rows of a table."""
        return select(table).where(table.org_id == self._org_id, *where)

    async def _get(self, table: type[OwnRowWithId], row_id: str) -> OwnRowWithId | None:
        """Return a row of the tenant by ID."""
        return await self._session.scalar(self._own(table, table.id == row_id))

    async def _keep(self, row: OwnRow) -> OwnRow:
        """Add a row, which must belong to the tenant."""
        if row.org_id != self._org_id:
            raise ValueError("a row of another tenant")
        self._session.add(row)
        await self._session.flush()
        return row


async def page(
    session: AsyncSession, table: type[Row], query: Select[Row], *, after: str | None, limit: int
) -> Sequence[Row]:
    """Return rows of a table ordered by ID, starting after the ID ``after``."""
    if after is not None:
        query = query.where(table.id > after)
    return (await session.scalars(query.order_by(table.id).limit(limit))).all()
