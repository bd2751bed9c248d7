"""Removing everything of a tenant."""

from storage.objects.contract import ObjectStore
from storage.objects.keys import org_prefix


async def erase_org(store: ObjectStore, org_id: str) -> int:
    """Remove all objects of a tenant; gives how many.

    Raises:
        ObjectsUnavailable: The store is away; some may be left.
    """
    erased = 0
    async for info in store.list(org_prefix(org_id)):
        await store.delete(info.key)
        erased += 1
    return erased
