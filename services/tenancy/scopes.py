"""What a caller may do, and what each route asks for.

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
"""What a key may do unless it is made to do less or more."""

OWNER: Final = "owner"

ROLES: Final[Mapping[str, frozenset[Scope]]] = {
    OWNER: EVERYDAY | {Scope.USAGE, Scope.ADMIN},
    "admin": EVERYDAY | {Scope.USAGE, Scope.ADMIN},
    "member": EVERYDAY | {Scope.USAGE},
    "service": frozenset({Scope.SPEECH, Scope.MODELS, Scope.AUDIO}),
}
"""What the members of a tenant may do. Owners differ from admins in that only they change owners."""

EVERYTHING: Final = frozenset(Scope)


def scopes_of(role: str, *, operator: bool) -> frozenset[Scope]:
    """What a member of a tenant may do.

    Args:
        role: A key of :data:`ROLES`.
        operator: Whether they run the server.
    """
    return ROLES[role] | {Scope.OPERATOR} if operator else ROLES[role]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a route asks of its callers.

    Attributes:
        scope: What they must be allowed; ``None`` asks only that they are somebody.
        everyone: Nobody is asked who they are.
        signed: A signature in the URL stands for a key; the route checks it.
        metered: It counts as a speech request: against requests a minute and concurrent streams.
        upload: It takes recordings: bodies up to ``limits.max_upload_bytes``.
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
    """Declare what a route asks for; stands below the router's decorator. See :class:`Access`."""
    asked = Access(scope=scope, everyone=everyone, signed=signed, metered=metered, upload=upload)
    return partial(declare, access=asked)
