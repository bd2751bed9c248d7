"""Rates of Kokoro's output."""

from typing import Final

SAMPLE_RATE: Final = 24_000
"""In hertz."""
FRAME: Final = 600
"""Number of samples per frame, the unit of durations."""
