"""Recordings of a voice, as the converter takes them in."""

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
"""Seconds; a shorter sample says little of a voice, and weighs as much as a long one."""


def signals(samples: Sequence[ReferenceSample]) -> tuple[list[npt.NDArray[np.float32]], float]:
    """The samples at the converter's rate, full scale 1, and the median pitch of the voice in hertz.

    What exceeds :data:`MAX_RECORDING_SECONDS` is left out, and so are silent samples and very short ones,
    unless there are no others.

    Raises:
        UnsupportedUtterance: They are no recordings, or hold too little speech; the message says which.
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
