"""Removing what nothing points to any more from the object store."""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Final

from services.gate import DatabaseGate
from services.uploads import sweep_folders
from storage.errors import StorageError
from storage.objects.contract import ObjectStore
from storage.repositories.doomed import DoomedObjects

logger = logging.getLogger(__name__)

PAUSE: Final = 5.0
"""Seconds between two rounds when nobody asks for one."""

SWEEP: Final = 3_600.0
"""Seconds between two looks for folders of uploads whose process died."""


async def erase_doomed(gate: DatabaseGate, objects: ObjectStore) -> int:
    """Remove the objects whose time has come; gives how many keys that were.

    Raises:
        StorageError: The database or the store is away; the rest is for the next time.
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


class Eraser:
    """Erases soon after something was doomed, and now and then in any case.

    Args:
        gate: The database.
        objects: The object store.
    """

    def __init__(self, gate: DatabaseGate, objects: ObjectStore) -> None:
        self._gate = gate
        self._objects = objects
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """Have it erase at once."""
        self._wanted.set()

    async def run(self) -> None:
        """Erase until cancelled."""
        due = time.monotonic()
        while True:
            if time.monotonic() >= due:
                due = time.monotonic() + SWEEP
                await asyncio.to_thread(sweep_folders)
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await erase_doomed(self._gate, self._objects)
            except StorageError as error:
                logger.warning("erasing is postponed: %s", error)
            except Exception:  # whatever one round raises must not end the next
                logger.exception("erasing failed")
