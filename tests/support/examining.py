"""Examining bytes."""

from pathlib import Path

from services.samples.examine import Examiner
from services.samples.limits import SampleLimits
from services.samples.report import SampleReport


async def examine(data: bytes, folder: Path) -> SampleReport:
    """Examine some bytes; the wav is ``folder / "canonical.wav"``."""
    source = folder / "upload.bin"
    source.write_bytes(data)
    return await Examiner().examine(source, folder / "canonical.wav", limits=SampleLimits())
