"""What one recording may cost, and what becomes of it."""

from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleLimits:
    """Bounds of one recording.

    Attributes:
        max_bytes: Of the file.
        max_seconds: Of decoded audio, whatever the file says.
        min_speech_seconds: Less speech is refused.
        wall_seconds: Until the child is killed.
        memory_bytes: The child's address space, on Linux. It uses a third of it.
        sample_rate: Hertz of the canonical wav; a multiple of 125, so that 32 ms are whole samples.
        target_lufs: Its loudness (ITU-R BS.1770).
        ceiling_dbfs: Its highest peak.
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
        """Refuse rates that the frames of the voice activity detection do not divide."""
        if self.sample_rate < 16_000 or self.sample_rate % 125:  # noqa: PLR2004 - see above
            raise ValueError(f"The canonical rate cannot be {self.sample_rate} Hz.")

    @property
    def frame(self) -> int:
        """Samples in 32 ms, the grid of all measures."""
        return self.sample_rate * 4 // 125
