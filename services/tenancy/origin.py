"""Where a change or a login comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from storage.repositories.audit import AuditRepository


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """For the audit log.

    Attributes:
        actor: A user's or key's id, ``local``, ``cli`` or ``anonymous``.
        address: Of the client.
        request_id: Of the request.
    """

    actor: str = "anonymous"
    address: str | None = None
    request_id: str | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """The origin of a request."""
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
        """Write down what is done, in the transaction that does it.

        Args:
            session: That transaction.
            org_id: Where it is done.
            action: Such as ``key.revoked``.
            target: The id of what is changed.
            details: Without secrets.
            actor: Who does it, where that is not whom the request came from.
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
"""Who works on the database from the command line."""
