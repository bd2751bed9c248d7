"""Shared parts of child processes for foreign libraries: pipes, resource limits and termination.

Imports only the standard library, because such a process runs without site-packages, so that it is small and
starts in tens of milliseconds. It exits when its standard input is closed and, on Linux, with its parent.
"""

import os
import signal
import sys
from collections.abc import Mapping
from typing import BinaryIO, Final

MEMORY: Final = 1 << 30
"""Limit of the address space in bytes, on Linux: eight times what eSpeak NG uses."""
NICENESS: Final = 10
"""Niceness of the process, so that it yields the CPU to the server."""
_PASSED_ON: Final = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL")
_PR_SET_PDEATHSIG: Final = 1


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a child, without secrets, because it processes untrusted text."""
    return {name: variables[name] for name in _PASSED_ON if name in variables}


def confine(parent: int) -> None:
    """Limit the process's resources, and end it with its parent, as far as the system supports it.

    Args:
        parent: Process ID of the parent.
    """
    # Stop signals reach all of the server's processes. The parent may still need this one; when it no longer
    # does, it closes the pipe.
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
    """Return the input pipe and the output descriptor; the library's own output to stdout is discarded."""
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
    """Write all of ``frame``; exit the process if the pipe is closed."""
    view = memoryview(frame)
    try:
        while view:
            view = view[os.write(out, view) :]
    except OSError:  # an exception would be lost inside a callback of the library
        os._exit(0)
