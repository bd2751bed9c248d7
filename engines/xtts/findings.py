"""What may be wrong with a spoken sentence."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class SpeechFinding(StrEnum):
    """A fault that was found, as clients are told it."""

    LENGTH = "length"
    """The model's limit came before the end."""
    RUNAWAY = "runaway"
    """It went on for longer than the text can take."""
    REPETITION = "repetition"
    """It said the same again and again."""
    EARLY_STOP = "early_stop"
    """It ended sooner than anybody could have said the text."""
    SILENCE = "silence"
    """There is a long silence in it, or at one of its ends."""
    SILENT = "silent"
    """There is nothing to hear."""
    CLIPPING = "clipping"
    """It is louder than samples can be."""
    BROKEN = "broken"
    """Some samples are no numbers."""


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
"""How bad each is beside the others: what is too much can be cut off, what is missing cannot be mended."""


def badness(findings: Iterable[SpeechFinding]) -> int:
    """How bad they are together; 0 is none. Of two tries the one with less is the better."""
    return sum(_WEIGHTS[finding] for finding in frozenset(findings))
