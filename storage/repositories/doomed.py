"""Objects that are to be deleted; see :class:`storage.tables.DoomedObject`."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from storage.columns import now
from storage.tables import DoomedObject


class DoomedObjects:
    """Deletions of objects of all tenants; keys come from table rows, never from clients.

    Args:
        session: A transaction.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def doom(self, keys: Iterable[str], *, due_at: datetime | None = None) -> None:
        """Schedule deletion, by default at once; a key that ends with ``/`` means all objects below it."""
        rows = [{"key": key, "due_at": due_at or now()} for key in dict.fromkeys(keys)]
        if not rows:
            return
        insert = insert_sqlite if self._session.get_bind().dialect.name == "sqlite" else insert_postgresql
        # Other transactions may add the same keys concurrently.
        doomed = insert(DoomedObject).values(rows)
        earlier = case(
            (doomed.excluded.due_at < DoomedObject.due_at, doomed.excluded.due_at), else_=DoomedObject.due_at
        )
        await self._session.execute(
            doomed.on_conflict_do_update(index_elements=[DoomedObject.key], set_={"due_at": earlier})
        )

    async def hasten(self, keys: Collection[str]) -> None:
        """Make scheduled deletions due now; keys that have been spared are ignored."""
        query = update(DoomedObject).where(DoomedObject.key.in_(keys))
        await self._session.execute(query.values(due_at=now()))

    async def spare(self, keys: Collection[str]) -> bool:
        """Cancel deletions, since the objects are now in use; false if any was not scheduled any more."""
        spared = await self._session.execute(
            delete(DoomedObject).where(DoomedObject.key.in_(keys)).returning(DoomedObject.key)
        )
        return len(spared.all()) == len(keys)

    async def due(self, *, limit: int = 100) -> Sequence[str]:
        """Return keys that are due, earliest first."""
        query = (
            select(DoomedObject.key)
            .where(DoomedObject.due_at <= now())
            .order_by(DoomedObject.due_at)
            .limit(limit)
        )
        return (await self._session.scalars(query)).all()

    async def count_due(self) -> int:
        """Return the number of keys that are due."""
        query = select(func.count()).select_from(DoomedObject).where(DoomedObject.due_at <= now())
        return int(await self._session.scalar(query) or 0)

    async def gone(self, keys: Collection[str]) -> None:
        """Remove the keys of objects that have been deleted."""
        await self._session.execute(delete(DoomedObject).where(DoomedObject.key.in_(keys)))
