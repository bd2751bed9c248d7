"""From a relative speed to eSpeak NG's words a minute.

eSpeak NG shortens pauses more than words, so twice the words a minute is more than twice as fast. The
table was measured on English and Hindi paragraphs with eSpeak NG 1.52: how much shorter the speech is
at a rate than at 175 words a minute, the mean of the two languages.
"""

from itertools import pairwise
from typing import Final

SPEED_RANGE: Final = (0.5, 2.0)
"""Slower, it pulls words apart. From 350 words a minute on it drops the pauses between sentences, and
the length no longer follows the speed."""
NORMAL_RATE: Final = 175
"""Words a minute; the library's own."""
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
    """The rate at which speech is ``speed`` times as fast as normal; clamped to :data:`SPEED_RANGE`.

    Args:
        speed: What is wanted.
        stretch: How many times faster than spoken the speech will be played.
    """
    speed = min(max(speed, SPEED_RANGE[0]), SPEED_RANGE[1]) / stretch
    for (slow, low), (fast, high) in pairwise(_MEASURED):
        if speed <= fast:
            return max(low, round(low + (high - low) * (speed - slow) / (fast - slow)))
    return _MEASURED[-1][1]
