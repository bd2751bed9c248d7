"""Ending with the process that started this one.

The supervisor of the services may be killed without a chance to stop them. A service that outlives it
would keep its port, its memory and its engine.
"""

import ctypes
import os
import signal
import sys
import threading
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""From Linux' ``prctl.h``: send a signal to this process when its parent dies."""

POLL_SECONDS: Final = 1.0
"""Seconds between two looks at the parent, where the system cannot tell."""


def end_with_parent() -> None:
    """Have this process terminated (SIGTERM) when its parent dies. Call from the main thread.

    Linux tells by signal; elsewhere a daemon thread notices that the process was given another parent.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
        return
    threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()


def _watch(parent: int) -> None:
    gone = threading.Event()
    while not gone.wait(POLL_SECONDS):
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return
