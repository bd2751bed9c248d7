"""Running blocking work in a thread without leaving it behind."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

ENCODING: Final = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="encoding")
"""Compresses audio that somebody listens to: it waits for no upload, password or voice."""


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``work`` in a thread. When the caller is cancelled, wait for the thread first.

    The objects that ``work`` uses can therefore be closed as soon as this returns or raises.
    """
    return await _waited_for(None, partial(work, *args, **kwargs))


async def encoding(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As :func:`in_thread`, in one of the threads that do nothing but compress audio."""
    return await _waited_for(ENCODING, partial(work, *args, **kwargs))


async def _waited_for(pool: Executor | None, work: Callable[[], T]) -> T:
    thread = asyncio.get_running_loop().run_in_executor(pool, work)
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.wait({thread})
        raise
