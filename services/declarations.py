"""What a route declares beside itself; read by :mod:`services.doors`, which needs the server's libraries."""

from typing import Any, Final, TypeVar

TargetT = TypeVar("TargetT")

_ATTRIBUTE: Final = "__access__"


def declare(target: TargetT, access: object) -> TargetT:
    """Declare what a route asks of its callers.

    Args:
        target: An endpoint, or a route; a mount or host has no endpoint of its own, so is declared itself.
        access: What its app's :class:`services.doors.Doors` are made for.

    Returns:
        The target.
    """
    setattr(target, _ATTRIBUTE, access)
    return target


def declared(target: object) -> Any:  # noqa: ANN401 - the doors check it
    """What a route or its endpoint declares; ``None`` when neither does."""
    found = getattr(target, _ATTRIBUTE, None)
    return getattr(getattr(target, "endpoint", None), _ATTRIBUTE, None) if found is None else found
