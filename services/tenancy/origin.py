"""The origin of a change or a login, for the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from storage.repositories.audit import AuditRepository


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The origin of a change or a login, for the audit log.

    Attributes:
        actor: ID of a user or a key, ``local``, ``cli`` or ``anonymous``.
        address: The client's address.
        request_id: ID of the request.
    """

    actor: str = "anonymous"
    address: str | None = None
    request_id: str | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return the origin of a request."""
        principal = getattr(request.state, "principal", None)
        return cls(
            actor=principal.actor if principal else "anonymous",
            address=request.client.host if request.client else None,
            request_id=request.state.request_id,
        )

    async def log(
        self,
        session: AsyncSession,
        org_id: str | None,
        action: str,
        *,
        target: str | None = None,
        details: Mapping[str, Any] | None = None,
        actor: str | None = None,
    ) -> None:
        """Record a change in the audit log, in the transaction of the change.

        Args:
            session: The transaction of the change.
            org_id: ID of the tenant, if any.
            action: Name of the action, such as ``key.revoked``.
            target: ID of the changed object.
            details: Further facts; must not include secrets.
            actor: Overrides the origin's actor.
        """
        await AuditRepository(session, org_id).add(
            action,
            actor=actor or self.actor,
            target=target,
            address=self.address,
            request_id=self.request_id,
            details=details,
        )


CLI = Origin(actor="cli")
"""The origin of changes from the command line."""
