"""Fades at the edges of utterances, without which abrupt beginnings and ends would click."""

from typing import Final

import numpy as np
import numpy.typing as npt

from engines.contract import Pcm

FADE_SECONDS: Final = 0.003
"""Duration of a fade in seconds: too short to be noticed, long enough to avoid a click."""

QUIET: Final = 128
"""Maximum magnitude (−48 dBFS) of a first or last sample that does not click."""


class Edges:
    """Fades in or out utterances that do not begin or end near zero.

    The last samples are held back until it is known whether the utterance continues.

    Args:
        sample_rate: Sample rate in hertz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._size = max(1, round(FADE_SECONDS * sample_rate))
        self._held: Pcm = np.zeros(0, np.int16)
        self._rise = _ramp(self._size)
        self._passed = 0
        self._fading_in = False

    def feed(self, pcm: Pcm) -> Pcm:
        """Process samples of an utterance; return those that are ready."""
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
        """Return the utterance's last samples, faded if they end abruptly, and start a new utterance."""
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
    """Return a squared-sine ramp from almost 0 to almost 1; its reverse is its complement."""
    return np.sin((np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(np.pi / 2 / size)) ** 2
