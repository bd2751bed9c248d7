"""Conversion of a voice's recordings to the converter's input."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from engines.contract import ReferenceSample
from engines.openvoice.base import SAMPLE_RATE
from engines.recordings.pitch import summary
from engines.recordings.reading import MAX_RECORDING_SECONDS, SILENCE, read
from engines.recordings.resampling import resampled
from engines.recordings.signals import to_signal

_MIN_SAMPLE_SECONDS: Final = 0.5
"""Minimum length of a sample in seconds; a shorter one says little, but would weigh as much as a long one."""


def signals(samples: Sequence[ReferenceSample]) -> tuple[list[npt.NDArray[np.float32]], float]:
    """Return the samples at the converter's rate, with full scale 1, and the voice's median pitch in hertz.

    Audio beyond :data:`MAX_RECORDING_SECONDS` in total is omitted, and so are silent samples. Very short ones
    are omitted, too, unless there are no others.

    Raises:
        UnsupportedUtterance: A sample is not a recording, or there is too little speech; the message says so.
    """
    recordings = read(samples)
    pitch, _ = summary(np.concatenate([one.speech.pitch[one.speech.active] for one in recordings]))
    heard: list[npt.NDArray[np.float32]] = []
    left = int(MAX_RECORDING_SECONDS * SAMPLE_RATE)
    for sample in samples:
        signal = resampled(to_signal(sample.pcm), sample.sample_rate, SAMPLE_RATE)[:left]
        if len(signal) and float(np.sqrt(np.mean(np.square(signal)))) > SILENCE:
            heard.append(signal)
            left -= len(signal)
    long = [signal for signal in heard if len(signal) >= _MIN_SAMPLE_SECONDS * SAMPLE_RATE]
    return long or [np.concatenate(heard)], float(np.exp(pitch))
