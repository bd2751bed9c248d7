"""Objects that are to go; see :class:`storage.tables.DoomedObject`."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from storage.columns import now
from storage.tables import DoomedObject


class DoomedObjects:
    """What is to go from the object store, of all tenants: keys come from rows, never from a caller.

    Args:
        session: A transaction.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def doom(self, keys: Iterable[str], *, due_at: datetime | None = None) -> None:
        """Have objects removed, at once or from ``due_at`` on; a key that ends with ``/`` is all below it."""
        rows = [{"key": key, "due_at": due_at or now()} for key in dict.fromkeys(keys)]
        if not rows:
            return
        insert = insert_sqlite if self._session.get_bind().dialect.name == "sqlite" else insert_postgresql
        # Others may doom the same at the same time.
        doomed = insert(DoomedObject).values(rows)
        earlier = case(
            (doomed.excluded.due_at < DoomedObject.due_at, doomed.excluded.due_at), else_=DoomedObject.due_at
        )
        await self._session.execute(
            doomed.on_conflict_do_update(index_elements=[DoomedObject.key], set_={"due_at": earlier})
        )

    async def hasten(self, keys: Collection[str]) -> None:
        """Have objects removed at once that were to go later; those that were spared since stay."""
        query = update(DoomedObject).where(DoomedObject.key.in_(keys))
        await self._session.execute(query.values(due_at=now()))

    async def spare(self, keys: Collection[str]) -> bool:
        """Have objects stay, since something points to them now; whether all of them were still there."""
        spared = await self._session.execute(
            delete(DoomedObject).where(DoomedObject.key.in_(keys)).returning(DoomedObject.key)
        )
        return len(spared.all()) == len(keys)

    async def due(self, *, limit: int = 100) -> Sequence[str]:
        """The keys whose time has come."""
        query = (
            select(DoomedObject.key)
            .where(DoomedObject.due_at <= now())
            .order_by(DoomedObject.due_at)
            .limit(limit)
        )
        return (await self._session.scalars(query)).all()

    async def count_due(self) -> int:
        """How many keys :meth:`due` would give in the end."""
        query = select(func.count()).select_from(DoomedObject).where(DoomedObject.due_at <= now())
        return int(await self._session.scalar(query) or 0)

    async def gone(self, keys: Collection[str]) -> None:
        """Forget objects that were removed."""
        await self._session.execute(delete(DoomedObject).where(DoomedObject.key.in_(keys)))
