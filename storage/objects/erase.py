"""Erasing all objects of a tenant."""

from storage.objects.contract import ObjectStore
from storage.objects.keys import org_prefix


async def erase_org(store: ObjectStore, org_id: str) -> int:
    """Delete all objects of a tenant; return their number.

    Raises:
        ObjectsUnavailable: The store is unavailable; some objects may be left.
    """
    erased = 0
    async for info in store.list(org_prefix(org_id)):
        await store.delete(info.key)
        erased += 1
    return erased
