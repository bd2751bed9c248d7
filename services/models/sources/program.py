"""Running a package manager for a download, with progress and limits of size and time."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from services.models.errors import SourceDownError, SourceError
from services.models.folder import size_of

POLL_SECONDS: Final = 0.1
"""Interval at which the downloaded bytes are counted, in seconds."""

STALL_SECONDS: Final = 90.0
"""Seconds without progress after which the program is killed; a mirror may fetch the file itself first."""

MAX_REASON: Final = 200
"""Maximum length of the reason taken from the program's output, in characters."""

_END_TIMEOUT: Final = 10.0
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX: Final = re.compile(r"^(error|npm error|npm ERR!):?\s*", re.IGNORECASE)

_NETWORK: Final = re.compile(
    r"after connection broken by|\b(ECONN\w+|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH)\b"
    r"|\b(5\d\d|429) (Server|Client) Error|\bE(429|5\d\d)\b"
)
"""Messages of pip and npm for a failure of the network or the index, which may be temporary."""

_NO_REASON: Final = re.compile(r"(code|errno|syscall|type) \S+$|A complete log of this run")
"""Lines of npm's output that do not help users."""


def run(
    command: Sequence[str],
    *,
    name: str,
    folder: Path,
    limit: int,
    arrived: Callable[[int], None],
    environment: Mapping[str, str],
    stall: float = STALL_SECONDS,
) -> None:
    """Run a program that downloads into ``folder``.

    It inherits the working directory, to which paths in its settings (``PIP_FIND_LINKS``) are relative.

    Args:
        command: The program and its arguments.
        name: Name of the program in messages.
        folder: Folder of all its downloads, including temporary files.
        limit: Maximum size of the folder's files, in bytes.
        arrived: Called with the number of bytes downloaded so far.
        environment: Environment variables of the program.
        stall: Seconds without progress after which the program is killed.

    Raises:
        SourceError: The program failed, or downloaded too much.
        SourceDownError: The program made no progress, or could not reach its source.
        OSError: The program cannot be started.
    """
    log = folder / ".said"
    with log.open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 - a package manager, with our own arguments
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            # So that its children can be killed, too.
            start_new_session=os.name == "posix",
        )
        try:
            _watch(process, name, folder, limit, arrived, stall)
        finally:
            _end(process)
    if process.returncode:
        text = _said(log)
        kind = SourceDownError if _NETWORK.search(text) else SourceError
        raise kind(f"{name} reports: {_reason(text)}")


def _watch(
    process: "subprocess.Popen[bytes]",
    name: str,
    folder: Path,
    limit: int,
    arrived: Callable[[int], None],
    stall: float,
) -> None:
    most, since = 0, time.monotonic()
    while process.poll() is None:
        size = size_of(folder)
        if size > limit:
            raise SourceError(f"{name} downloaded more than the expected {limit:,} bytes")
        if size > most:
            most, since = size, time.monotonic()
            arrived(size)
        elif time.monotonic() - since > stall:
            raise SourceDownError(f"{name} made no progress for {stall:g} s")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_SECONDS)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill the program and, on POSIX, its children, which may outlive it and continue downloading."""
    if os.name == "posix":
        # macOS refuses if only zombies are left in the group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait(_END_TIMEOUT)


def _said(log: Path) -> str:
    """Read the end of the program's output."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 65_536))
        return _COLOUR.sub("", file.read().decode("utf-8", "replace"))


def _reason(text: str) -> str:
    """Find the most informative line: the last one marked as an error (npm: the first), else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if _PREFIX.match(line) and _PREFIX.sub("", line)]
    # npm gives the cause first and the log's path last; pip gives the cause last.
    told = [line for line in errors if not _NO_REASON.match(_PREFIX.sub("", line))] or lines or ["nothing"]
    best = told[0] if told[0].lower().startswith("npm") else told[-1]
    return _PREFIX.sub("", best)[:MAX_REASON].rstrip(".")
