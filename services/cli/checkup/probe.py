"""Running of checks in a separate process, to contain crashes, hangs and memory."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final, cast

MAX_REASON: Final = 300
"""Maximum number of characters of a process's last message."""


class ProbeError(Exception):
    """The process failed; the message is its last output, or says how it ended."""


def probe(module: str, *arguments: str, timeout: float) -> Mapping[str, Any]:
    """Run a module, and return the JSON object that it prints last.

    Args:
        module: Full name of the module.
        arguments: Its command-line arguments.
        timeout: Maximum duration in seconds.

    Raises:
        ProbeError: The process failed, crashed or took too long.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ProbeError(f"took longer than {timeout:g} s") from error
    except OSError as error:
        raise ProbeError(f"could not be started: {error.strerror}") from error
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    if done.returncode < 0:
        raise ProbeError(f"crashed with signal {-done.returncode}")
    if done.returncode > 0 or not lines:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ProbeError(said[-1][:MAX_REASON] if said else f"exited with status {done.returncode}")
    try:
        answer: object = json.loads(lines[-1])
    except ValueError as error:
        raise ProbeError("gave an unreadable answer") from error
    return cast("Mapping[str, Any]", answer) if isinstance(answer, dict) else {}
