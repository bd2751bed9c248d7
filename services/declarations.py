"""Access declarations of routes; apart from :mod:`services.doors`, which needs the server's libraries."""

from typing import Any, Final, TypeVar

TargetT = TypeVar("TargetT")

_ATTRIBUTE: Final = "__access__"


def declare(target: TargetT, access: object) -> TargetT:
    """Declare the access of a route.

    Args:
        target: An endpoint or a route; a mount or a host, which has no endpoint, is declared itself.
        access: The access, of the class that the app's :class:`services.doors.Doors` expect.

    Returns:
        ``target``.
    """
    setattr(target, _ATTRIBUTE, access)
    return target


def declared(target: object) -> Any:  # noqa: ANN401 - the doors check it
    """Return the access that a route or its endpoint declares; ``None`` without one."""
    found = getattr(target, _ATTRIBUTE, None)
    return getattr(getattr(target, "endpoint", None), _ATTRIBUTE, None) if found is None else found
