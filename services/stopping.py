"""Notification that this process has been told to stop."""

import asyncio


class Stopping:
    """A flag that this process is stopping; set once, from a signal handler or the event loop."""

    def __init__(self) -> None:
        self._begun = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    @property
    def begun(self) -> bool:
        """Whether the process is stopping."""
        return self._begun

    def begin(self) -> None:
        """Begin, and wake all waiting tasks."""
        self._begun = True
        for loop, told in tuple(self._waiting):
            loop.call_soon_threadsafe(told.set)

    async def wait(self) -> None:
        """Wait until stopping has begun."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        self._waiting.append(waiter)
        try:
            # Checked after the waiter is in the list, so that a signal in between is not missed.
            if not self._begun:
                await waiter[1].wait()
        finally:
            self._waiting.remove(waiter)
