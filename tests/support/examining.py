"""Examining bytes."""

import asyncio
import sys
from pathlib import Path

from services.samples.examine import Examiner
from services.samples.limits import SampleLimits
from services.samples.report import SampleReport


async def examine(data: bytes, folder: Path) -> SampleReport:
    """Examine some bytes; the wav is ``folder / "canonical.wav"``."""
    source = folder / "upload.bin"
    source.write_bytes(data)
    return await Examiner().examine(source, folder / "canonical.wav", limits=SampleLimits())


def memory_of_examining(data: bytes, folder: Path) -> tuple[int, int]:
    """Peak bytes of this process and of its largest child, after some bytes were examined.

    Call it in a process of its own: one that runs tests has had larger children. Linux counts a parent's
    bytes for its child.
    """
    import resource  # noqa: PLC0415 - Windows has none

    asyncio.run(examine(data, folder))
    unit = 1 if sys.platform == "darwin" else 1024
    own, largest = (
        resource.getrusage(who).ru_maxrss * unit for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own, largest
