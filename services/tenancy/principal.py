"""The authenticated caller of a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from services.tenancy.scopes import Scope
from services.tokens import Claims

Limits: TypeAlias = Mapping[str, Any]
"""A tenant's own limits, by the names of :class:`services.config.QuotaLimits`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated caller. Everything it does, it does in one tenant.

    Attributes:
        org_id: The tenant.
        org_name: Its name.
        plan: Name of a configured plan.
        limits: Override the plan's.
        retention: Days that its data is kept; overrides the settings.
        scopes: Its permissions.
        user_id: The user, if it is one, or the user a key belongs to.
        key_id: The API key, if it came with one.
        role: The user's in the tenant.
        family: The login that a token belongs to.
        expires_at: When its key ends.
    """

    org_id: str
    org_name: str
    plan: str
    scopes: frozenset[Scope]
    limits: Limits = field(default_factory=dict[str, Any])
    retention: Mapping[str, Any] = field(default_factory=dict[str, Any])
    user_id: str | None = None
    key_id: str | None = None
    role: str | None = None
    family: str | None = None
    expires_at: datetime | None = None

    @property
    def claims(self) -> Claims:
        """The facts to look up again to confirm the caller."""
        user_id = None if self.key_id else self.user_id
        return Claims(org_id=self.org_id, user_id=user_id, family=self.family, key_id=self.key_id)

    @property
    def actor(self) -> str:
        """Its id in the audit log."""
        return self.key_id or self.user_id or "local"

    @property
    def operator(self) -> bool:
        """Whether it runs the server."""
        return Scope.OPERATOR in self.scopes
