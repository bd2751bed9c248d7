"""Checks whose result is shared by concurrent callers and cached for a short time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from services.log_context import of_no_request
from storage.errors import StorageError

FRESH_SECONDS: Final = 3.0
"""Seconds for which a success is cached."""

WAIT_SECONDS: Final = 2.0
"""Maximum seconds that a caller waits."""


class Probe:
    """A check that runs at most once at a time, and whose success is cached.

    Failures are not cached, so that a recovery is seen by the next call.

    Args:
        work: The check; raises :class:`storage.errors.StorageError` if it fails.
    """

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._good_until = 0.0
        self._trying: asyncio.Task[StorageError | None] | None = None

    async def check(self) -> None:
        """Run the check, or wait for the running one, unless a success is cached.

        Raises:
            StorageError: The check failed; the message gives the reason.
            TimeoutError: The check takes too long. It continues, and the next call waits for it.
        """
        if time.monotonic() < self._good_until:
            return
        if self._trying is None or self._trying.done():
            self._trying = asyncio.create_task(self._try(), context=of_no_request())
        async with asyncio.timeout(WAIT_SECONDS):
            if (error := await asyncio.shield(self._trying)) is not None:
                raise error

    async def aclose(self) -> None:
        """Cancel the running check."""
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
