"""Whether this process has been told to stop."""

import asyncio


class Stopping:
    """Begins once, from a signal's handler or the event loop, and is never taken back."""

    def __init__(self) -> None:
        self._begun = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    @property
    def begun(self) -> bool:
        """Whether the process is being stopped."""
        return self._begun

    def begin(self) -> None:
        """Tell everybody."""
        self._begun = True
        for loop, told in tuple(self._waiting):
            loop.call_soon_threadsafe(told.set)

    async def wait(self) -> None:
        """Return once it has begun."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        self._waiting.append(waiter)
        try:
            # Looked at once it is in the list: a signal in between is not missed.
            if not self._begun:
                await waiter[1].wait()
        finally:
            self._waiting.remove(waiter)
