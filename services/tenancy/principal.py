"""The authenticated caller of a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from services.tenancy.scopes import Scope
from services.tokens import Claims

Limits: TypeAlias = Mapping[str, Any]
"""A tenant's own limits, by the field names of :class:`services.config.QuotaLimits`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated caller, which acts in one tenant.

    Attributes:
        org_id: ID of the tenant.
        org_name: Name of the tenant.
        plan: Name of the tenant's plan.
        limits: The tenant's limits that override the plan's.
        retention: The tenant's retention in days, by kind of data; overrides the settings.
        scopes: The caller's permissions.
        user_id: ID of the logged-in user, or of the user that the API key belongs to.
        key_id: ID of the API key, if the caller uses one.
        role: Role of the logged-in user in the tenant.
        family: ID of the login that the token belongs to.
        expires_at: Time at which the API key expires.
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
        """The claims with which to look up the caller again."""
        user_id = None if self.key_id else self.user_id
        return Claims(org_id=self.org_id, user_id=user_id, family=self.family, key_id=self.key_id)

    @property
    def actor(self) -> str:
        """The caller's ID in the audit log."""
        return self.key_id or self.user_id or "local"

    @property
    def operator(self) -> bool:
        """Whether the caller is an operator of the server."""
        return Scope.OPERATOR in self.scopes
