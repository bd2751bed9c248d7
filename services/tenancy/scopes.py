"""Permissions of callers, and the access that routes declare.

A route without a declared access is closed (:mod:`services.doors`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Final, TypeVar

from services.declarations import declare

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class Scope(StrEnum):
    """A permission of a key, a token or a role, within its own tenant."""

    SPEECH = "speech"
    """Generate speech."""
    MODELS = "models"
    """Read models and voices."""
    VOICES = "voices"
    """Create, change and delete voices."""
    AUDIO = "audio"
    """Download and delete stored audio."""
    USAGE = "usage"
    """Read the tenant's usage."""
    ADMIN = "admin"
    """Manage the tenant's members and keys."""
    OPERATOR = "operator"
    """Operate the server: read and change all tenants."""


EVERYDAY: Final = frozenset({Scope.SPEECH, Scope.MODELS, Scope.VOICES, Scope.AUDIO})
"""The default scopes of a key."""

OWNER: Final = "owner"

ROLES: Final[Mapping[str, frozenset[Scope]]] = {
    OWNER: EVERYDAY | {Scope.USAGE, Scope.ADMIN},
    "admin": EVERYDAY | {Scope.USAGE, Scope.ADMIN},
    "member": EVERYDAY | {Scope.USAGE},
    "service": frozenset({Scope.SPEECH, Scope.MODELS, Scope.AUDIO}),
}
"""Role → scopes. Unlike admins, owners can change owners."""

EVERYTHING: Final = frozenset(Scope)


def scopes_of(role: str, *, operator: bool) -> frozenset[Scope]:
    """Return the scopes of a tenant's member.

    Args:
        role: A key of :data:`ROLES`.
        operator: Whether the member is an operator of the server.
    """
    return ROLES[role] | {Scope.OPERATOR} if operator else ROLES[role]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The access that a route requires.

    Attributes:
        scope: The required scope; ``None`` requires only authentication.
        everyone: Whether the route is public.
        signed: Whether a signature in the URL can replace a key; the route checks it.
        metered: Whether requests count towards the limits of requests per minute and concurrent streams.
        upload: Whether the route accepts recordings, in bodies of up to ``limits.max_upload_bytes``.
    """

    scope: Scope | None = None
    everyone: bool = False
    signed: bool = False
    metered: bool = False
    upload: bool = False


def access(
    scope: Scope | None = None,
    *,
    everyone: bool = False,
    signed: bool = False,
    metered: bool = False,
    upload: bool = False,
) -> Callable[[Endpoint], Endpoint]:
    """Declare a route's access, see :class:`Access`. Place the decorator below the router's."""
    asked = Access(scope=scope, everyone=everyone, signed=signed, metered=metered, upload=upload)
    return partial(declare, access=asked)
