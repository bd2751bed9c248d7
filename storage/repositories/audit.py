"""The append-only audit log."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import AuditEvent


class AuditRepository:
    """The audit log of one tenant, or the server's own.

    Args:
        session: The transaction of the change itself: both are committed, or neither.
        org_id: The tenant's ID; ``None`` for events without a tenant, such as failed logins.
    """

    def __init__(self, session: AsyncSession, org_id: str | None) -> None:
        self._session = session
        self._org_id = org_id

    async def add(
        self,
        action: str,
        *,
        actor: str,
        target: str | None = None,
        address: str | None = None,
        request_id: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an event. ``details`` must not contain secrets."""
        self._session.add(
            AuditEvent(
                org_id=self._org_id,
                actor=actor,
                action=action,
                target=target,
                address=address,
                request_id=request_id,
                details=dict(details or {}),
            )
        )
        await self._session.flush()

    async def list(self, *, before: int | None = None, limit: int = 100) -> Sequence[AuditEvent]:
        """Return events, newest first; with ``before``, only those with a smaller ID."""
        query = (
            select(AuditEvent)
            .where(AuditEvent.org_id == self._org_id)
            .order_by(AuditEvent.id.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(AuditEvent.id < before)
        return (await self._session.scalars(query)).all()
