"""Where a change or a login comes from."""

from dataclasses import dataclass
from typing import Self

from starlette.requests import Request


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


CLI = Origin(actor="cli")
"""Who works on the database from the command line."""
