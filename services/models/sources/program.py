"""Running a package manager that downloads, seeing how far it is, and ending it when it goes astray."""

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
"""Seconds between two looks at what has come."""

STALL_SECONDS: Final = 90.0
"""Seconds without a byte after which it is ended; an index that mirrors another may fetch a file first."""

MAX_REASON: Final = 200
"""Characters of what it said."""

_END_TIMEOUT: Final = 10.0
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX: Final = re.compile(r"^(error|npm error|npm ERR!):?\s*", re.IGNORECASE)

_NETWORK: Final = re.compile(
    r"after connection broken by|\b(ECONN\w+|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH)\b"
    r"|\b(5\d\d|429) (Server|Client) Error|\bE(429|5\d\d)\b"
)
"""How pip and npm say that the network, or the index, failed: another time it may not."""

_NO_REASON: Final = re.compile(r"(code|errno|syscall|type) \S+$|A complete log of this run")
"""Lines of npm's that tell people nothing."""


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

    Its working directory is ours: paths in its settings, such as ``PIP_FIND_LINKS``, begin there.

    Args:
        command: The program and its arguments.
        name: What it is called in messages.
        folder: Where all that it downloads appears, temporary files too.
        limit: Bytes that may appear there.
        arrived: Told how many bytes there are.
        environment: Of the program.
        stall: Seconds that may pass without a byte more.

    Raises:
        SourceError: It failed, or downloaded too much.
        SourceDownError: It stood still, or could not reach its source.
        OSError: It cannot be started.
    """
    log = folder / ".said"
    with log.open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 - a package manager, with our own arguments
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            # Its children too can be ended.
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
    """End it and, on POSIX, all that it started: these may outlive it, and go on downloading."""
    if os.name == "posix":
        # macOS refuses where only zombies are left of the group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait(_END_TIMEOUT)


def _said(log: Path) -> str:
    """The end of what it said."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 65_536))
        return _COLOUR.sub("", file.read().decode("utf-8", "replace"))


def _reason(text: str) -> str:
    """The line that tells most: the last that calls itself an error, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if _PREFIX.match(line) and _PREFIX.sub("", line)]
    # npm's first line in words is its cause, and the last where the log is; pip's last one is the cause.
    told = [line for line in errors if not _NO_REASON.match(_PREFIX.sub("", line))] or lines or ["nothing"]
    best = told[0] if told[0].lower().startswith("npm") else told[-1]
    return _PREFIX.sub("", best)[:MAX_REASON].rstrip(".")
