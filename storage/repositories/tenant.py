"""What the repositories of one tenant share."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped


class Identified(Protocol):
    """A row with an id."""

    id: Mapped[str]


class Owned(Protocol):
    """A row of a tenant's."""

    org_id: Mapped[str]


class OwnedWithId(Identified, Owned, Protocol):
    """A row of a tenant's with an id."""


Row = TypeVar("Row", bound=Identified)
OwnRow = TypeVar("OwnRow", bound=Owned)
OwnRowWithId = TypeVar("OwnRowWithId", bound=OwnedWithId)


class TenantRepository:
    """Works on one tenant's rows.

    Args:
        session: A transaction.
        org_id: The tenant.
    """

    def __init__(self, session: AsyncSession, org_id: str) -> None:
        self._session = session
        self._org_id = org_id

    def _own(self, table: type[OwnRow], *where: ColumnElement[bool]) -> Select[OwnRow]:
        """The tenant's rows of a table."""
        return select(table).where(table.org_id == self._org_id, *where)

    async def _get(self, table: type[OwnRowWithId], row_id: str) -> OwnRowWithId | None:
        """The tenant's row of that id."""
        return await self._session.scalar(self._own(table, table.id == row_id))

    async def _keep(self, row: OwnRow) -> OwnRow:
        """Add a row of the tenant's."""
        if row.org_id != self._org_id:
            raise ValueError("a row of another tenant")
        self._session.add(row)
        await self._session.flush()
        return row


async def page(
    session: AsyncSession, table: type[Row], query: Select[Row], *, after: str | None, limit: int
) -> Sequence[Row]:
    """Rows of a table in the order of their ids, those after ``after``."""
    if after is not None:
        query = query.where(table.id > after)
    return (await session.scalars(query.order_by(table.id).limit(limit))).all()
