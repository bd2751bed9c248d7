"""Trying something out for whoever asks, without doing it for each of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from services.log_context import of_no_request
from storage.errors import StorageError

FRESH_SECONDS: Final = 3.0
"""Seconds for which a success counts."""

WAIT_SECONDS: Final = 2.0
"""Seconds after which nobody waits any longer."""


class Probe:
    """Says whether something works: tried at most once at a time, and not again soon after it did.

    A failure is not remembered, so that its end is seen at the next question.

    Args:
        work: Tries it; raises :class:`storage.errors.StorageError`.
    """

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._good_until = 0.0
        self._trying: asyncio.Task[StorageError | None] | None = None

    async def check(self) -> None:
        """Ask.

        Raises:
            StorageError: It does not work; with the reason.
            TimeoutError: It is not known in time; whoever asks next waits for the same try.
        """
        if time.monotonic() < self._good_until:
            return
        if self._trying is None or self._trying.done():
            self._trying = asyncio.create_task(self._try(), context=of_no_request())
        async with asyncio.timeout(WAIT_SECONDS):
            if (error := await asyncio.shield(self._trying)) is not None:
                raise error

    async def aclose(self) -> None:
        """Stop trying."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.gather(self._trying, return_exceptions=True)

    async def _try(self) -> StorageError | None:
        try:
            await self._work()
        except StorageError as error:
            return error
        self._good_until = time.monotonic() + FRESH_SECONDS
        return None
