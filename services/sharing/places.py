"""Places of this Gateway process: streams that it serves, and those who watch."""

from engines.contract import EngineOverloaded
from services.sharing.shares import Share, Shares


def take_place(places: Shares, what: str, tenant: str, weight: float) -> Share:
    """Take a place; it is free again when the share is released.

    Args:
        places: Of these.
        what: What they are, for the message.
        tenant: Who takes it.
        weight: Of its plan.

    Raises:
        EngineOverloaded: All are taken, or the tenant has its share.
    """
    place = places.take(tenant, weight)
    if place is not None:
        return place
    message = f"All {places.limit} {what} of this server are in use."
    if places.taken < places.limit:
        message = f"The organisation is using its share of this server's {places.limit} {what}."
    raise EngineOverloaded(message, retry_after=1.0)
