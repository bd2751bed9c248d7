"""Defects of a spoken sentence."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class SpeechFinding(StrEnum):
    """A defect, as reported to clients."""

    LENGTH = "length"
    """The model's limit came before the end."""
    RUNAWAY = "runaway"
    """It went on for longer than the text can take."""
    REPETITION = "repetition"
    """It repeated itself."""
    EARLY_STOP = "early_stop"
    """It ended before anyone could have spoken the text."""
    SILENCE = "silence"
    """There is a long silence in it, or at one of its ends."""
    SILENT = "silent"
    """It is inaudible."""
    CLIPPING = "clipping"
    """Samples are at full scale."""
    BROKEN = "broken"
    """Some samples are not numbers."""


ENDINGS: Final = (SpeechFinding.LENGTH, SpeechFinding.REPETITION, SpeechFinding.RUNAWAY)
"""Faults that end an utterance before the model does; the worse ones last."""

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
