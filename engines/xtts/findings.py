"""Defects of a spoken sentence."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class SpeechFinding(StrEnum):
    """A defect, as reported to clients."""

    LENGTH = "length"
    """The speech reached the model's maximum length."""
    RUNAWAY = "runaway"
    """The speech is longer than the text can take."""
    REPETITION = "repetition"
    """The speech is caught in a loop."""
    EARLY_STOP = "early_stop"
    """The speech is shorter than the text can take."""
    SILENCE = "silence"
    """The speech has a long silence, inside or at one end."""
    SILENT = "silent"
    """The speech is inaudible."""
    CLIPPING = "clipping"
    """Samples are at full scale."""
    BROKEN = "broken"
    """Some samples are NaN or infinite."""


ENDINGS: Final = (SpeechFinding.LENGTH, SpeechFinding.REPETITION, SpeechFinding.RUNAWAY)
"""Defects that end an utterance before the model does; the worse ones last."""

_WEIGHTS: Final = {
    SpeechFinding.CLIPPING: 1,
    SpeechFinding.SILENCE: 2,
    SpeechFinding.LENGTH: 4,
    SpeechFinding.REPETITION: 4,
    SpeechFinding.RUNAWAY: 4,
    SpeechFinding.EARLY_STOP: 8,
    SpeechFinding.BROKEN: 16,
    SpeechFinding.SILENT: 32,
}
"""Relative severity: excess can be cut off, but missing speech cannot be repaired."""


def badness(findings: Iterable[SpeechFinding]) -> int:
    """Total severity; 0 is none. Of two tries, the lower one is better."""
    return sum(_WEIGHTS[finding] for finding in frozenset(findings))
