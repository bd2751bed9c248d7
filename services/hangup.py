"""Doing work for a caller only as long as the caller is there."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.types import Receive


async def until_hangup(work: Coroutine[Any, Any, None], receive: Receive) -> bool:
    """Run ``work``; cancel it as soon as the peer of ``receive`` disconnects.

    Args:
        work: What is done for the caller. The request's body must have been read before.
        receive: The ASGI connection's.

    Returns:
        Whether the work ran to its end. Its exceptions are raised.
    """
    worker = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({worker, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if worker.done():
            await worker
            return True
        return False
    finally:
        for task in (worker, watcher):
            task.cancel()
        await asyncio.gather(worker, watcher, return_exceptions=True)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
