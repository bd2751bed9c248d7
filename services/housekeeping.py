"""What a Gateway does beside answering: giving back, writing down, throwing away."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from storage.errors import StorageError

logger = logging.getLogger(__name__)

TICK: Final = 1.0
"""Seconds between two looks at what is due."""


@dataclass(frozen=True, slots=True)
class Chore:
    """Something done again and again.

    Attributes:
        name: For the log.
        every: Seconds.
        work: One round of it; may raise :class:`storage.errors.StorageError`.
    """

    name: str
    every: float
    work: Callable[[], Awaitable[object]]


async def keep_house(chores: list[Chore]) -> None:
    """Do the chores until cancelled. One that fails is tried again when it is due the next time."""
    due = {chore.name: time.monotonic() + chore.every for chore in chores}
    while True:
        await asyncio.sleep(TICK)
        for chore in chores:
            if time.monotonic() < due[chore.name]:
                continue
            try:
                await chore.work()
            except StorageError as error:
                logger.warning("%s is postponed: %s", chore.name, error)
            except Exception:  # whatever one chore raises must not end the others
                logger.exception("%s failed", chore.name)
            due[chore.name] = time.monotonic() + chore.every
