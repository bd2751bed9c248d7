"""Usage records."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, Literal, NamedTuple, NotRequired, TypedDict

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import UsageRecord

GroupBy = Literal["day", "engine", "voice", "user", "key", "org"]

_COLUMNS: Final = {
    "day": UsageRecord.day,
    "engine": UsageRecord.engine,
    "voice": UsageRecord.voice,
    # The external user, if the client names one, takes precedence over the client's own user.
    "user": func.coalesce(UsageRecord.external_user, UsageRecord.user_id, ""),
    "key": func.coalesce(UsageRecord.key_id, ""),
    "org": UsageRecord.org_id,
}

PAGE: Final = 1_000
"""Maximum number of records per page."""


class Usage(TypedDict):
    """The usage of one request: the columns of :class:`storage.tables.UsageRecord`."""

    org_id: str
    at: datetime
    day: date
    kind: str
    outcome: str
    engine: str
    voice: str
    characters: int
    audio_ms: int
    request_id: NotRequired[str | None]
    latency_ms: NotRequired[int | None]
    user_id: NotRequired[str | None]
    key_id: NotRequired[str | None]
    external_user: NotRequired[str | None]


class UsageSum(NamedTuple):
    """The totals of a group of records."""

    group: str
    requests: int
    characters: int
    audio_ms: int


_INSERT: Final = UsageRecord.metadata.tables[UsageRecord.__tablename__].insert()


async def add_usage(session: AsyncSession, records: Sequence[Usage]) -> None:
    """Add records of any tenants."""
    connection = await session.connection()
    await connection.execute(_INSERT, list(records))


class UsageRepository:
    """The usage of one tenant or, for the operator, of all tenants.

    Args:
        session: A transaction.
        org_id: The tenant's ID; ``None`` for all tenants.
    """

    def __init__(self, session: AsyncSession, org_id: str | None) -> None:
        self._session = session
        self._org_id = org_id

    async def sums(self, by: GroupBy, *, first: date, last: date) -> Sequence[UsageSum]:
        """Return totals over the days ``first`` to ``last``, inclusive, grouped and ordered by a field."""
        group = _COLUMNS[by]
        query = (
            select(
                group,
                func.count(),
                func.coalesce(func.sum(UsageRecord.characters), 0),
                func.coalesce(func.sum(UsageRecord.audio_ms), 0),
            )
            .where(UsageRecord.day >= first, UsageRecord.day <= last)
            .group_by(group)
            .order_by(group)
        )
        if self._org_id is not None:
            query = query.where(UsageRecord.org_id == self._org_id)
        rows = await self._session.execute(query)
        return [UsageSum(str(name), count, int(chars), int(audio)) for name, count, chars, audio in rows]

    async def page(self, *, first: date, last: date, after: int = 0) -> Sequence[UsageRecord]:
        """Return up to :data:`PAGE` records of these days, by ID, starting after the ID ``after``."""
        query = (
            select(UsageRecord)
            .where(UsageRecord.day >= first, UsageRecord.day <= last, UsageRecord.id > after)
            .order_by(UsageRecord.id)
            .limit(PAGE)
        )
        if self._org_id is not None:
            query = query.where(UsageRecord.org_id == self._org_id)
        return (await self._session.scalars(query)).all()
