"""The child process that examines one file; :mod:`services.samples.process` calls its ``main``.

It writes one JSON object to its standard output: ``{"figures": …}`` or ``{"bad": {"code", "message"}}``.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Final

from services.samples.errors import BadSample
from services.samples.limits import SampleLimits

PR_SET_PDEATHSIG: Final = 1
FULL: Final = 77
"""Exit status of a child that ran out of memory."""


def confine(parent: int, limits: SampleLimits) -> None:
    """Set resource limits, and have the process end with its parent, as far as the platform supports it."""
    # Signals that stop the server may reach all its processes. The parent kills the child unless it still
    # wants the answer.
    for told in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told, signal.SIG_IGN)
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seconds = int(limits.wall_seconds) + 5
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    # The scratch file is the largest: four bytes per sample, and some slack for the resampler's rounding.
    size = int((limits.max_seconds + 10) * limits.sample_rate) * 4
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only needed here

        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)  # the parent died before the line above


def main(source: str, target: str, parent: str, limits: str) -> None:
    """Examine one file.

    Args:
        source: Path of the uploaded file.
        target: Path of the canonical wav.
        parent: Process ID of the parent.
        limits: :class:`SampleLimits` as JSON.
    """
    bounds = SampleLimits(**json.loads(limits))
    confine(int(parent), bounds)
    answer: dict[str, object]
    try:
        from services.samples.prepare import prepare  # noqa: PLC0415 - loads the libraries, once confined

        answer = {"figures": prepare(Path(source), Path(target), bounds)}
    except BadSample as error:
        answer = {"bad": {"code": error.code, "message": error.message}}
    except (MemoryError, ImportError) as error:
        # Without enough memory, even loading a library fails, with an ImportError.
        if isinstance(error, ImportError) and "map" not in str(error) and "memory" not in str(error):
            raise
        os._exit(FULL)
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    # Skip the decoders' destructors, which a hostile file may exploit.
    os._exit(0)
