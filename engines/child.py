"""Shared parts of child processes for foreign libraries: their pipes, their limits, their end.

Imports only the standard library, because such a process runs without site-packages: it starts in tens of
milliseconds and stays small. It ends with its standard input, and on Linux with its parent.
"""

import os
import signal
import sys
from collections.abc import Mapping
from typing import BinaryIO, Final

MEMORY: Final = 1 << 30
"""Bytes of address space on Linux: eight times what eSpeak NG uses, little enough to stop a runaway."""
NICENESS: Final = 10
"""Niceness of such a process: it yields the CPU to the server."""
_PASSED_ON: Final = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL")
_PR_SET_PDEATHSIG: Final = 1


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child: no secrets, because it processes untrusted text."""
    return {name: variables[name] for name in _PASSED_ON if name in variables}


def confine(parent: int) -> None:
    """Limit what a crash or a runaway can do, and end with the parent, where the system can.

    Args:
        parent: Process id of the parent.
    """
    # A stop signal reaches all of the server's processes. The parent may still need this one, and closes the
    # pipe when it no longer does.
    for told in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told, signal.SIG_IGN)
    if sys.platform == "win32":
        return
    os.nice(NICENESS)
    import resource  # noqa: PLC0415 - not on Windows

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only needed here

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)  # the parent died before the line above


def claim_pipes() -> tuple[BinaryIO, int]:
    """The two pipes, with descriptor 1 pointed away from the library's own messages."""
    out = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - only on Windows

        msvcrt.setmode(0, os.O_BINARY)
        msvcrt.setmode(out, os.O_BINARY)
    return open(0, "rb", closefd=False), out


def send(out: int, frame: bytes) -> None:
    """Write all of ``frame``; exit when the pipe is closed."""
    view = memoryview(frame)
    try:
        while view:
            view = view[os.write(out, view) :]
    except OSError:  # an exception would be lost inside a callback of the library
        os._exit(0)
