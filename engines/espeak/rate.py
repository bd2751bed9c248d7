"""Conversion of a relative speed to eSpeak NG's words per minute.

eSpeak NG shortens pauses more than words, so doubling the words per minute more than doubles the speed. The
table was measured with eSpeak NG 1.52 on paragraphs in English and Hindi: the speed relative to 175 words per
minute, as the mean of both languages.
"""

from itertools import pairwise
from typing import Final

SPEED_RANGE: Final = (0.5, 2.0)
"""Range of speeds. Below it, words are pulled apart; from 350 words per minute, sentence pauses are lost."""
NORMAL_RATE: Final = 175
"""The library's default rate in words per minute."""
_MEASURED: Final = (
    (0.448, 80),
    (0.538, 100),
    (0.655, 120),
    (0.780, 140),
    (0.903, 160),
    (1.000, NORMAL_RATE),
    (1.163, 200),
    (1.435, 240),
    (1.708, 280),
    (1.993, 320),
    (2.093, 335),
)


def words_per_minute(speed: float, stretch: float = 1.0) -> int:
    """Return the rate for a speed, which is clamped to :data:`SPEED_RANGE`.

    Args:
        speed: Speed relative to normal, as it is heard.
        stretch: Factor by which the speech is played faster than it was spoken.
    """
    speed = min(max(speed, SPEED_RANGE[0]), SPEED_RANGE[1]) / stretch
    for (slow, low), (fast, high) in pairwise(_MEASURED):
        if speed <= fast:
            return max(low, round(low + (high - low) * (speed - slow) / (fast - slow)))
    return _MEASURED[-1][1]
