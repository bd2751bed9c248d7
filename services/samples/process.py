"""Running one of this package's modules in a child process with a time limit."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_ANSWER: Final = 256 * 1024
"""Maximum size of a child's output in bytes; a report has 3 KB, a large embedding 10 KB."""

_PASSED_ON: Final = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TEMP")
_PROGRAM: Final = (
    "import sys, importlib; sys.path.insert(0, sys.argv[1]); "
    "importlib.import_module(sys.argv[2]).main(*sys.argv[3:])"
)


@dataclass(frozen=True, slots=True)
class Ended:
    """Result of a child process that has ended.

    Attributes:
        status: Exit status; negative for the signal that ended it.
        answer: Its standard output.
    """

    status: int
    answer: bytes


async def run(module: str, arguments: Sequence[str], seconds: float) -> Ended:
    """Run a module's ``main`` in a child process.

    On cancellation, the child is killed and waited for.

    Args:
        module: Full name of the module.
        arguments: Arguments of ``main``.
        seconds: Time after which the child is killed.

    Raises:
        TimeoutError: The child was killed.
        OSError: The child cannot be started.
    """
    child = _Child(module, arguments)
    # A thread: waiting for an asyncio subprocess can hang if it is cancelled during its start.
    thread = asyncio.ensure_future(asyncio.to_thread(child.run))
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.shield(thread)
    finally:
        if not thread.done():
            child.kill()
            await asyncio.wait({thread})


class _Child:
    """One child process. The thread that starts it must outlive it: Linux kills it when that thread ends."""

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        root = Path(__file__).parents[2]
        self._command = [sys.executable, "-I", "-c", _PROGRAM, str(root), module, *arguments]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._unwanted = False

    def run(self) -> Ended:
        with self._lock:
            if self._unwanted:
                return Ended(-1, b"")
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(os.environ),
            )
        with self._process as process:
            assert process.stdout is not None  # noqa: S101 - it was started with a pipe
            answer = process.stdout.read(MAX_ANSWER + 1)
            if len(answer) > MAX_ANSWER:
                process.kill()
                answer = b""
            return Ended(process.wait(), answer)

    def kill(self) -> None:
        """Kill the child, or keep it from being started."""
        with self._lock:
            self._unwanted = True
            if self._process is not None:
                self._process.kill()


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Build the child's environment: no secrets, since it parses untrusted files; one thread per library."""
    passed = {name: variables[name] for name in _PASSED_ON if name in variables}
    return passed | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
