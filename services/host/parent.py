"""Ending this process together with its parent.

The supervisor of the services may be killed before it can stop them. A service that outlives it would keep
its port, its memory and its engine.
"""

import ctypes
import os
import signal
import sys
import threading
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""Option of ``prctl`` in Linux's ``linux/prctl.h``: send a signal to this process when its parent dies."""

POLL_SECONDS: Final = 1.0
"""Seconds between checks of the parent on systems other than Linux."""


def end_with_parent() -> None:
    """Terminate this process (SIGTERM) when its parent dies. Call from the main thread.

    Linux sends a signal; elsewhere a daemon thread polls the parent's process id.
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
