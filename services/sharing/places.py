"""Places of this Gateway process, such as for streams and watchers."""

from engines.contract import EngineOverloaded
from services.sharing.shares import Share, Shares


def take_place(places: Shares, what: str, tenant: str, weight: float) -> Share:
    """Take a place; it becomes free when the share is released.

    Args:
        places: The places to take it from.
        what: Plural noun for the places, for the error message.
        tenant: ID of the tenant that takes the place.
        weight: Weight of the tenant's plan.

    Raises:
        EngineOverloaded: All places are taken, or the tenant has its share of them.
    """
    place = places.take(tenant, weight)
    if place is not None:
        return place
    message = f"All {places.limit} {what} of this server are in use."
    if places.taken < places.limit:
        message = f"The organisation is using its share of this server's {places.limit} {what}."
    raise EngineOverloaded(message, retry_after=1.0)
