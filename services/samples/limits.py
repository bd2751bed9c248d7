"""Limits of one recording, and the format of its canonical wav."""

from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleLimits:
    """Limits of one recording, and the format of its canonical wav.

    Attributes:
        max_bytes: Maximum file size.
        max_seconds: Maximum length of the decoded audio, whatever length the file declares.
        min_speech_seconds: Minimum amount of speech.
        wall_seconds: Time after which the child is killed.
        memory_bytes: Limit of the child's address space, on Linux. The child uses a third of it.
        sample_rate: Rate of the canonical wav in hertz; a multiple of 125, so that 32 ms are whole samples.
        target_lufs: Loudness of the canonical wav in LUFS (ITU-R BS.1770).
        ceiling_dbfs: Peak limit of the canonical wav in dBFS.
    """

    max_bytes: int = 64 * MIB
    max_seconds: float = 300.0
    min_speech_seconds: float = 1.0
    wall_seconds: float = 30.0
    memory_bytes: int = 512 * MIB
    sample_rate: int = 24_000
    target_lufs: float = -23.0
    ceiling_dbfs: float = -1.0

    def __post_init__(self) -> None:
        """Refuse sample rates at which a 32 ms frame is not a whole number of samples."""
        if self.sample_rate < 16_000 or self.sample_rate % 125:  # noqa: PLR2004 - see above
            raise ValueError(f"The canonical rate cannot be {self.sample_rate} Hz.")

    @property
    def frame(self) -> int:
        """Number of samples in 32 ms, the frame of all measurements."""
        return self.sample_rate * 4 // 125
