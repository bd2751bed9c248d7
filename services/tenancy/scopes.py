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
    """Speak."""
    MODELS = "models"
    """See models and voices."""
    VOICES = "voices"
    """Make, change and delete voices."""
    AUDIO = "audio"
    """Fetch and delete kept audio."""
    USAGE = "usage"
    """See what was used."""
    ADMIN = "admin"
    """Manage the tenant's members and keys."""
    OPERATOR = "operator"
    """Run the server: see and change every tenant."""


EVERYDAY: Final = frozenset({Scope.SPEECH, Scope.MODELS, Scope.VOICES, Scope.AUDIO})
"""The default scopes of a key."""

OWNER: Final = "owner"

ROLES: Final[Mapping[str, frozenset[Scope]]] = {
    OWNER: EVERYDAY | {Scope.USAGE, Scope.ADMIN},
    "admin": EVERYDAY | {Scope.USAGE, Scope.ADMIN},
    "member": EVERYDAY | {Scope.USAGE},
    "service": frozenset({Scope.SPEECH, Scope.MODELS, Scope.AUDIO}),
}
"""The scopes of each role. Owners differ from admins in that only they change owners."""

EVERYTHING: Final = frozenset(Scope)


def scopes_of(role: str, *, operator: bool) -> frozenset[Scope]:
    """The scopes of a tenant's member.

    Args:
        role: A key of :data:`ROLES`.
        operator: Whether they run the server.
    """
    return ROLES[role] | {Scope.OPERATOR} if operator else ROLES[role]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The access that a route requires.

    Attributes:
        scope: The required scope; ``None`` requires only authentication.
        everyone: No authentication.
        signed: A signature in the URL replaces a key; the route checks it.
        metered: It counts as a speech request, towards requests a minute and concurrent streams.
        upload: It accepts recordings: bodies up to ``limits.max_upload_bytes``.
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
    """Declare a route's access; goes below the router's decorator. See :class:`Access`."""
    asked = Access(scope=scope, everyone=everyone, signed=signed, metered=metered, upload=upload)
    return partial(declare, access=asked)
