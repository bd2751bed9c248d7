"""Sending to one client at its own pace; unread bytes are buffered only while others need its place."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Self

from services.sharing.shares import Share, Shares

POLL_SECONDS: Final = 0.25
"""Interval of checking whether others need the place of a client that does not read, in seconds."""

SPOOL: Final = 64 * 1024 * 1024
"""Total size of all spools of a Gateway process, in bytes."""


class Outbox:
    """Sends bytes in order. Use as an asynchronous context manager, which stops sending on exit.

    A slow client applies backpressure to :meth:`put`. While others ask for its place, its unread bytes are
    spooled in memory instead, so that the work for it ends and its place becomes free. A spool is taken from
    the tenant's share of :data:`SPOOL`; once that is used up, the client keeps its place, for ``patience`` in
    total.

    Args:
        place: Released once everything has been put, and sent or spooled.
        spool: Bytes of spools, shared by tenants.
        patience: Maximum seconds until a client has room for more, and in which it keeps a place that others
            need.
    """

    def __init__(self, place: Share, spool: Shares, *, patience: float) -> None:
        self.place = place
        self._spool = spool
        self._patience = patience
        self._unsent: deque[bytes] = deque()
        self._size = 0
        self._spooled: Share | None = None
        self._sender: asyncio.Task[None] | None = None
        self._held = 0.0

    def to(self, send: Callable[[bytes], Awaitable[None]]) -> Self:
        """Set the function that sends. Call it before the first :meth:`put`.

        Args:
            send: Sends bytes, and waits until the client has room for more.
        """
        self._send = send
        return self

    async def __aenter__(self) -> Self:
        """Return the outbox itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Discard unsent bytes."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        if self._spooled is not None:
            self._spooled.release()

    async def put(self, data: bytes) -> None:
        """Send the next bytes; return once the client has room for more, or once they are spooled.

        Raises:
            TimeoutError: The client has not read for too long.
        """
        self._unsent.append(data)
        self._size += len(data)
        if self._is_sent():
            self._sender = asyncio.create_task(self._send_all())
            await asyncio.sleep(0)  # suffices if the client has room, as it mostly has
        while not self._is_sent():
            if self.place.asked_back() and self._has_spooled():
                return
            await self._wait()

    async def drain(self) -> None:
        """Finish sending after the last :meth:`put`; the place is released as soon as the rest is spooled.

        Raises:
            TimeoutError: The client has not read for too long.
        """
        while not self._is_sent() and not self._has_spooled():
            await self._wait()
        self.place.release()
        while not self._is_sent():
            await self._wait()

    def _is_sent(self) -> bool:
        """Whether everything is sent."""
        if self._sender is None:
            return True
        if self._sender.done():
            self._sender.result()
            return True
        return False

    async def _wait(self) -> None:
        """Wait until everything is sent, at most :data:`POLL_SECONDS`."""
        assert self._sender is not None  # noqa: S101 - as something is unsent
        clock = asyncio.get_running_loop().time
        began, needed = clock(), self.place.asked_back()
        await asyncio.wait({self._sender}, timeout=POLL_SECONDS)
        if needed and self.place.asked_back():
            self._held += clock() - began
            if self._held > self._patience:
                raise TimeoutError

    async def _send_all(self) -> None:
        while self._unsent:
            async with asyncio.timeout(self._patience):
                await self._send(self._unsent[0])
            self._size -= len(self._unsent.popleft())
            if self._spooled is not None:
                self._spooled.resize(min(self._size, self._spooled.amount))

    def _has_spooled(self) -> bool:
        """Reserve space in the spool for the unsent bytes; false if the tenant's share is used up."""
        if self._spooled is None:
            self._spooled = self._spool.take(self.place.tenant, self.place.weight, 0)
        return self._spooled is not None and self._spooled.resize(self._size)
