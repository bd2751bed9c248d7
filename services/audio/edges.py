"""The edges of utterances: one that begins or ends abruptly would click."""

from typing import Final

import numpy as np
import numpy.typing as npt

from engines.contract import Pcm

FADE_SECONDS: Final = 0.003
"""Seconds of a fade: too short to be heard as a fade, long enough not to be heard as a click."""

QUIET: Final = 128
"""A first or last sample of no more than this (−48 dB of full scale) makes no click."""


class Edges:
    """Fades the first and last milliseconds of an utterance that does not begin or end near zero.

    The last ones are held back until it is known whether the utterance continues.

    Args:
        sample_rate: Hertz of the samples.
    """

    def __init__(self, sample_rate: int) -> None:
        self._size = max(1, round(FADE_SECONDS * sample_rate))
        self._held: Pcm = np.zeros(0, np.int16)
        self._rise = _ramp(self._size)
        self._passed = 0
        self._fading_in = False

    def feed(self, pcm: Pcm) -> Pcm:
        """The samples that are ready."""
        if not pcm.size:
            return pcm
        if self._passed == 0:
            self._fading_in = abs(int(pcm[0])) > QUIET
        pcm = self._faded_in(pcm)
        joined = np.concatenate([self._held, pcm]) if self._held.size else pcm
        ready = max(0, joined.size - self._size)
        self._held = joined[ready:].copy()
        return joined[:ready]

    def end_utterance(self) -> Pcm:
        """The last samples, faded if they end abruptly; the next utterance starts anew."""
        last, self._held = self._held, np.zeros(0, np.int16)
        self._passed = 0
        if last.size and abs(int(last[-1])) > QUIET:
            return np.rint(last * _ramp(last.size)[::-1]).astype(np.int16)
        return last

    def _faded_in(self, pcm: Pcm) -> Pcm:
        start = self._passed
        self._passed = min(start + pcm.size, self._size)
        count = self._passed - start
        if not self._fading_in or not count:
            return pcm
        faded = pcm.copy()
        faded[:count] = np.rint(pcm[:count] * self._rise[start : self._passed])
        return faded


def _ramp(size: int) -> npt.NDArray[np.float32]:
    """From almost zero to almost one, as a squared sine; its reverse is its complement."""
    return np.sin((np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(np.pi / 2 / size)) ** 2
