"""Bytes on their way to one client, at its own pace; ahead of it only while others need its place."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Self

from services.sharing.shares import Share, Shares

POLL_SECONDS: Final = 0.25
"""Seconds between two looks at whether others need the place of a client that does not read."""

SPOOL: Final = 64 * 1024 * 1024
"""Bytes that the clients of one Gateway process may have unread in memory beyond their places, together."""


class Outbox:
    """Sends what it is given in order. Use as an asynchronous context manager: at its end nothing goes on.

    A slow client holds up whoever gives to it. While its place is asked back by others, what it has not read
    is spooled instead, so that the work for it ends and its place is free. A spool is a tenant's share of
    :data:`SPOOL`; where that is used up, the client holds its place on, for ``patience`` in all.

    Args:
        place: Released when all was given and sent or spooled.
        spool: Bytes, shared by tenants.
        patience: Seconds that a client may take to have room, or hold a place that others need.
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
        """Say where the bytes go; before anything is put.

        Args:
            send: Sends some bytes, and waits until the client has room for more.
        """
        self._send = send
        return self

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drop what is not sent."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        if self._spooled is not None:
            self._spooled.release()

    async def put(self, data: bytes) -> None:
        """Send the next bytes; returns when the client has room for more, or they are spooled.

        Raises:
            TimeoutError: The client does not read.
        """
        self._unsent.append(data)
        self._size += len(data)
        if self._is_sent():
            self._sender = asyncio.create_task(self._send_all())
            await asyncio.sleep(0)  # mostly the client has room, and that is all
        while not self._is_sent():
            if self.place.asked_back() and self._has_spooled():
                return
            await self._wait()

    async def drain(self) -> None:
        """Everything was put: release the place, at once if what is unsent is spooled, and have it sent.

        Raises:
            TimeoutError: The client does not read.
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
        """Wait until everything is sent, or for a moment."""
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
        """Count what is unsent as spooled, if it may be."""
        if self._spooled is None:
            self._spooled = self._spool.take(self.place.tenant, self.place.weight, 0)
        return self._spooled is not None and self._spooled.resize(self._size)
