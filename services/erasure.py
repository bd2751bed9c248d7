"""Deletion of unreferenced objects from the object store."""

from services.gate import DatabaseGate
from storage.objects.contract import ObjectStore
from storage.repositories.doomed import DoomedObjects


async def erase_doomed(gate: DatabaseGate, objects: ObjectStore) -> int:
    """Delete the objects that are due for deletion; return the number of keys.

    Raises:
        StorageError: The database or the store is unavailable; the rest remains for the next call.
    """
    erased = 0
    while True:
        async with gate.read() as session:
            keys = await DoomedObjects(session).due()
        if not keys:
            return erased
        for key in keys:
            await _erase(objects, key)
        async with gate.write() as session:
            await DoomedObjects(session).gone(keys)
        erased += len(keys)


async def _erase(objects: ObjectStore, key: str) -> None:
    if not key.endswith("/"):
        await objects.delete(key)
        return
    async for info in objects.list(key):
        await objects.delete(info.key)
