"""The canonical wav: mono, 16 bits, at the target loudness, without clipping."""

from collections.abc import Generator
from pathlib import Path
from typing import Final

import numpy as np

from services.audio.codings import PCM
from services.audio.wav import wav_header
from services.samples.cut import Cut
from services.samples.limits import SampleLimits
from services.samples.loudness import LoudnessMeter
from services.samples.scratch import Samples

_STEP_SECONDS: Final = 0.005
"""Step of the limiter's gain, in seconds; a block is a whole number of steps."""
_REACH: Final = 4
"""Number of steps before and after a peak in which the gain is reduced."""
_ROUNDS: Final = 4
"""Maximum rounds of limiting to reach the target loudness."""
_CLOSE: Final = 0.3
"""Accepted deviation from the target, in LU."""
_MOST: Final = 12.0
"""Maximum gain added in a round, in decibels."""


class Loudness:
    """Loudness of a cut, and its correction to the target.

    Args:
        cut: The kept parts of the recording.
        limits: Target loudness and peak ceiling.
    """

    def __init__(self, cut: Cut, limits: SampleLimits) -> None:
        self._cut = cut
        self._rate = limits.sample_rate
        self._step = round(_STEP_SECONDS * limits.sample_rate)
        self._target = limits.target_lufs
        self._ceiling = 10 ** (limits.ceiling_dbfs / 20)
        meter = LoudnessMeter(self._rate)
        peaks: list[Samples] = []
        for block in cut.blocks():
            meter.feed(block)
            padded = np.pad(np.abs(block), (0, -block.size % self._step))
            peaks.append(padded.reshape(-1, self._step).max(1))
        self.lufs = meter.integrated()
        self._peaks = np.concatenate(peaks)

    def levelled(self) -> Generator[Samples, None, None]:
        """Yield the cut at the target loudness, with the gain reduced around peaks that would clip."""
        return self._blocks(self._gains())

    def _gains(self) -> Samples:
        """Compute the linear gain of each step, shape ``(steps,)``."""
        wanted = self._target - self.lufs
        for _ in range(_ROUNDS):
            gains = self._limited(wanted)
            if float(gains.min()) * 1.001 >= float(gains.max()):
                return gains
            # Limiting lowers the loudness: a knock, for example, no longer contributes to it.
            meter = LoudnessMeter(self._rate)
            for block in self._blocks(gains):
                meter.feed(block)
            missing = self._target - meter.integrated()
            if abs(missing) < _CLOSE:
                return gains
            wanted += min(missing, _MOST)
        return self._limited(wanted)

    def _limited(self, gain: float) -> Samples:
        factor = np.float32(10 ** (gain / 20))
        needed = np.minimum(factor, self._ceiling / np.maximum(self._peaks, 1e-9)).astype(np.float32)
        width = 2 * _REACH + 1
        # The minimum within reach, then the mean over one step less on each side: smooth, and never too high.
        lowest = np.lib.stride_tricks.sliding_window_view(np.pad(needed, _REACH, "edge"), width).min(1)
        smooth = np.pad(lowest, _REACH - 1, "edge")
        return np.lib.stride_tricks.sliding_window_view(smooth, width - 2).mean(1, dtype=np.float32)

    def _blocks(self, gains: Samples) -> Generator[Samples, None, None]:
        centres = (np.arange(gains.size) + 0.5) * self._step
        at = 0
        for block in self._cut.blocks():
            first, last = max(0, at // self._step - 1), -(-(at + block.size) // self._step) + 1
            positions = np.arange(at, at + block.size)
            factors = np.interp(positions, centres[first:last], gains[first:last])
            yield block * factors.astype(np.float32)
            at += block.size


def write_wav(cut: Cut, loudness: Loudness, target: Path, limits: SampleLimits) -> None:
    """Write ``cut`` to ``target`` as a wav, at the target loudness."""
    with target.open("wb") as file:
        file.write(wav_header(PCM, limits.sample_rate, cut.size * 2))
        for block in loudness.levelled():
            file.write(np.rint(np.clip(block * 32_768, -32_768, 32_767)).astype("<i2").tobytes())
