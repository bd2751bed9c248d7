"""Streaming conversion of eSpeak NG's speech to the speaker's."""

from typing import Final

import numpy as np

from engines.contract import Pcm
from engines.espeak.adaptation.voice import CONTEXT, AdaptedVoice, Manner, Mover
from engines.recordings.resampling import resampled, resampling
from engines.recordings.signals import FULL_SCALE, to_signal
from engines.recordings.spectra import (
    ANALYSIS_WINDOW,
    HOP,
    RATE,
    SIZE,
    SYNTHESIS_WINDOW,
    Floats,
    describe,
    frames_of,
    signals_of,
    spectra_of,
    to_gains,
)

_MAX_NEPERS: Final = 8.0
"""Maximum change of a band, in nepers of power (35 dB)."""
_KNEE: Final = 0.8
"""Fraction of full scale above which peaks are compressed, so that they do not clip."""
_FADE: Final = 128
"""Length of the initial fade-in in samples, because the filter rings slightly before its input."""
_SHIFTS: Final = SIZE // HOP
_OVERLAP: Final = (ANALYSIS_WINDOW * SYNTHESIS_WINDOW).reshape(_SHIFTS, HOP).sum(axis=0)
"""Sum of the windows of overlapping frames for each sample of a hop."""


class SpectralFilter:
    """Moves the spectrum of a signal. The output is as long as the input, and delayed until :meth:`finish`.

    Args:
        manner: The change of the spectrum.
    """

    def __init__(self, manner: Manner) -> None:
        self._mover = Mover(manner)
        self._input = np.zeros(SIZE + CONTEXT * HOP, np.float32)
        self._tail = np.zeros((_SHIFTS, HOP), np.float32)
        self._lead = SIZE
        self._owed = 0

    def feed(self, signal: Floats) -> Floats:
        """Process samples; return those that are ready."""
        self._owed += len(signal)
        self._input = np.concatenate([self._input, signal])
        return self._advance()

    def finish(self) -> Floats:
        """Return the remaining samples; nothing can be fed afterwards."""
        self._input = np.pad(self._input, (0, 2 * SIZE + CONTEXT * HOP))
        return self._advance()

    def _advance(self) -> Floats:
        count = (len(self._input) - SIZE) // HOP + 1 - 2 * CONTEXT
        if count <= 0:
            return np.zeros(0, np.float32)
        frames = frames_of(self._input)
        spectra = spectra_of(frames)
        inner = slice(CONTEXT, CONTEXT + count)
        gains = to_gains(self._mover.change(describe(frames, spectra))[inner], _MAX_NEPERS)
        done = self._overlapped(signals_of(spectra[inner] * gains) * SYNTHESIS_WINDOW)
        self._input = self._input[count * HOP :]
        lead = min(self._lead, len(done))
        self._lead -= lead
        done = done[lead : lead + self._owed]
        self._owed -= len(done)
        return done

    def _overlapped(self, pieces: Floats) -> Floats:
        """Overlap and add frames; return the samples that later frames do not change."""
        count = len(pieces)
        total = np.zeros((count + _SHIFTS, HOP), np.float32)
        total[:_SHIFTS] = self._tail
        for shift in range(_SHIFTS):
            total[shift : shift + count] += pieces[:, shift * HOP : (shift + 1) * HOP]
        self._tail = total[count:]
        return (total[:count] / _OVERLAP).ravel()


class Transformation:
    """Converts the PCM of one utterance from eSpeak NG to the speaker's voice.

    Args:
        voice: The speaker's voice.
    """

    def __init__(self, voice: AdaptedVoice) -> None:
        self._filter = SpectralFilter(voice.manner)
        self._fade = np.linspace(0, 1, _FADE, endpoint=False, dtype=np.float32)
        self._player = resampling(RATE * voice.delivery.stretch, RATE)

    def feed(self, pcm: Pcm) -> Pcm:
        """Process samples; return those that are ready."""
        played = self._player.resample_chunk(to_signal(pcm))
        return self._to_pcm(self._filter.feed(played))

    def finish(self) -> Pcm:
        """Return the remaining samples; nothing can be fed afterwards."""
        played = self._player.resample_chunk(np.zeros(0, np.float32), last=True)
        rest = np.concatenate([self._filter.feed(played), self._filter.finish()])
        return self._to_pcm(rest)

    def _to_pcm(self, signal: Floats) -> Pcm:
        faded = min(len(self._fade), len(signal))
        signal[:faded] *= self._fade[:faded]
        self._fade = self._fade[faded:]
        excess = np.abs(signal) - _KNEE
        room = 1 - _KNEE
        rounded = np.sign(signal) * (_KNEE + room * np.tanh(np.maximum(excess, 0) / room))
        return np.rint(np.where(excess > 0, rounded, signal) * (FULL_SCALE - 1)).astype(np.int16)


def play(pcm: Pcm, stretch: float) -> Floats:
    """Return eSpeak NG's output as played ``stretch`` times as fast, by resampling."""
    return resampled(to_signal(pcm), RATE * stretch, RATE)
