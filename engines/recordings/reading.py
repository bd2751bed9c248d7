"""Checking, resampling and analysis of a voice's recordings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engines.contract import ReferenceSample, UnsupportedUtterance
from engines.recordings.resampling import resampled
from engines.recordings.signals import to_signal
from engines.recordings.spectra import HOP, RATE, Analysis, analyse

MIN_SPEECH_SECONDS: Final = 2.0
"""Minimum duration of speech in all recordings, in seconds."""
MAX_RECORDING_SECONDS: Final = 75.0
"""Maximum duration of recordings that is used, in seconds; more would only take longer."""
_RATES: Final = (4_000, 384_000)
SILENCE: Final = 1e-4
"""Root mean square below which a recording is silent: -80 dBFS."""
_LEAST_VOICED: Final = 0.15
"""Minimum fraction of voiced frames in speech; about half is usual."""
_DENSEST: Final = 40
"""Characters per second above which a text cannot be the transcript."""
_MIN_SAMPLE_SECONDS: Final = 0.1
"""Minimum duration of a sample in seconds; shorter ones are ignored."""


@dataclass(frozen=True, eq=False)
class AnalysedRecording:
    """A checked sample.

    Attributes:
        speech: Analysis of the recording.
        transcript: Text of the recording, if known.
        language: BCP-47 tag of its language, if known.
    """

    speech: Analysis
    transcript: str | None
    language: str | None


def read(samples: Sequence[ReferenceSample]) -> list[AnalysedRecording]:
    """Check and analyse samples.

    Only the first :data:`MAX_RECORDING_SECONDS` are used; a sample that is cut there loses its transcript.

    Raises:
        UnsupportedUtterance: The samples cannot be used, or contain too little speech.
    """
    recordings: list[AnalysedRecording] = []
    left = MAX_RECORDING_SECONDS
    for number, sample in enumerate(samples, 1):
        _check(sample, number)
        transcript = (sample.transcript or "").strip() or None
        seconds = len(sample.pcm) / sample.sample_rate
        if seconds > left or len(transcript or "") > _DENSEST * seconds:
            transcript = None
        pcm = sample.pcm[: int(left * sample.sample_rate)]
        if len(pcm) / sample.sample_rate < _MIN_SAMPLE_SECONDS:
            continue
        signal = resampled(to_signal(pcm), sample.sample_rate, RATE)
        if float(np.sqrt(np.mean(np.square(signal)))) < SILENCE:
            continue
        recordings.append(AnalysedRecording(analyse(signal), transcript, sample.language))
        left = max(0.0, left - len(signal) / RATE)
    _check_enough(recordings)
    return recordings


def _check(sample: ReferenceSample, number: int) -> None:
    pcm = np.asarray(sample.pcm)
    if pcm.dtype != np.int16 or pcm.ndim != 1:
        message = f"Sample {number} is not mono 16-bit PCM: its samples are {pcm.dtype} of shape {pcm.shape}."
        raise UnsupportedUtterance(message, param="samples")
    if not _RATES[0] <= sample.sample_rate <= _RATES[1]:
        message = (
            f"Sample {number} has {sample.sample_rate} samples per second, not {_RATES[0]} to {_RATES[1]}."
        )
        raise UnsupportedUtterance(message, param="samples")


def _check_enough(recordings: Sequence[AnalysedRecording]) -> None:
    active = sum(int(r.speech.active.sum()) for r in recordings) * HOP / RATE
    voiced = sum(int((r.speech.active & r.speech.voiced).sum()) for r in recordings) * HOP / RATE
    if not recordings:
        raise UnsupportedUtterance("The samples contain only silence.", param="samples")
    if active < MIN_SPEECH_SECONDS:
        least = f"{MIN_SPEECH_SECONDS:g} s"
        message = f"There are {active:.1f} s of speech in the samples; {least} are needed, 10 s are better."
        raise UnsupportedUtterance(message, param="samples")
    if voiced < _LEAST_VOICED * active:
        message = (
            "There is no voice in the samples: hardly any of it has a pitch; it may be noise or a whisper."
        )
        raise UnsupportedUtterance(message, param="samples")
