"""Rates of what Kokoro says."""

from typing import Final

SAMPLE_RATE: Final = 24_000
"""Hertz."""
FRAME: Final = 600
"""Samples of a frame, in which durations are counted."""
