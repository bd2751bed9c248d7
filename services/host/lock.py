"""A lock between processes of one host, on a file. The system gives it up when its holder dies."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

POLL: Final = 0.05
"""Seconds between two tries: no system lets an event loop wait for such a lock."""


@asynccontextmanager
async def file_lock(path: Path, timeout: float) -> AsyncGenerator[None, None]:  # noqa: ASYNC109 - of the waiting, not the block
    """Hold the lock while the block runs.

    Args:
        path: The file, made when it is not there, and left.
        timeout: Seconds to wait for it.

    Raises:
        TimeoutError: Another process keeps it.
        OSError: The file cannot be opened.
    """
    # Opening a file on this host is no wait.
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        async with asyncio.timeout(timeout):
            while not _taken(handle):  # noqa: ASYNC110 - nobody sets an event from another process
                await asyncio.sleep(POLL)
        try:
            yield
        finally:
            _release(handle)
    finally:
        os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _taken(handle: int) -> bool:
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _release(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        with contextlib.suppress(OSError):
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _taken(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _release(handle: int) -> None:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
