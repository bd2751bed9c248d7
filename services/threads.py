"""Running blocking work in a thread without leaving it behind."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``work`` in a thread. When the caller is cancelled, wait for the thread first.

    The objects that ``work`` uses can therefore be closed as soon as this returns or raises.
    """
    return await in_pool(None, work, *args, **kwargs)


async def in_pool(pool: Executor | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As :func:`in_thread`, in one of ``pool``'s threads; ``None`` is the event loop's own pool."""
    thread = asyncio.get_running_loop().run_in_executor(pool, partial(work, *args, **kwargs))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.wait({thread})
        raise
