"""Detection of defects in the samples alone: silence, clipping, NaN and infinity."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engines.xtts.findings import SpeechFinding

FRAME_SECONDS: Final = 0.01
"""Length of a frame, in seconds."""

LOUD_SECONDS: Final = 0.3
"""Total length of the loudest frames, the reference: one or two syllables, and more than a click."""

QUIET_BELOW: Final = 35.0
"""Decibels below the loudest frames, from which on a frame is silent.

In five sentences of a human reader, whose noise floor is 50 dB below them, pauses are below this level and
breath is above it.
"""

INAUDIBLE: Final = -60.0
"""Level in dBFS, below which a frame is silent in any case."""

MAX_PAUSE_SECONDS: Final = 2.0
"""Maximum silence within speech, in seconds. The human reader's longest was 0.47 s, eSpeak NG's 0.37 s."""

MAX_EDGE_SECONDS: Final = 1.5
"""Maximum silence before or after speech, in seconds; the caller adds the pauses between sentences."""

FULL_SCALE: Final = 0.999
"""Level that counts as full scale: a vocoder that ends in a tanh approaches 1 but does not reach it."""

CLIPPED: Final = 0.002
"""Maximum share of clipped samples, the middle ones of three at full scale: single peaks do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Measurements of an utterance's samples.

    Attributes:
        findings: Defects.
        pauses: Start and end of each silence that is too long, in seconds.
        speech: Start of the first sound and end of the last one, in seconds; both 0 if there is none.
        clipped: Share of clipped samples.
    """

    findings: tuple[SpeechFinding, ...]
    pauses: tuple[tuple[float, float], ...]
    speech: tuple[float, float]
    clipped: float


class SoundMeter:
    """Measures an utterance in pieces of any size; it stores 8 bytes per 10 ms.

    Args:
        sample_rate: In hertz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._size = round(sample_rate * FRAME_SECONDS)
        self._rest: npt.NDArray[np.float64] = np.empty(0)
        self._powers: list[npt.NDArray[np.float64]] = []
        self._before = np.zeros(2, np.bool_)
        self._clipped = 0
        self._samples = 0
        self._broken = False

    def feed(self, pcm: npt.NDArray[Any]) -> None:
        """Add the next samples, shape ``(samples,)``: 16-bit integers, or floats with full scale 1."""
        samples = pcm.astype(np.float64)
        if np.issubdtype(pcm.dtype, np.integer):
            samples /= 32_768
        finite = np.isfinite(samples)
        if not finite.all():
            self._broken = True
            samples[~finite] = 0.0
        self._samples += samples.size
        full = np.concatenate([self._before, np.abs(samples) >= FULL_SCALE])
        self._clipped += int(np.count_nonzero(full[2:] & full[1:-1] & full[:-2]))
        self._before = full[-2:]
        rest = np.concatenate([self._rest, samples])
        whole = rest.size - rest.size % self._size
        self._powers.append(_powers(rest[:whole].reshape(-1, self._size)))
        self._rest = rest[whole:]

    def sound(self) -> Sound:
        """Return the measurements so far."""
        powers = np.concatenate(self._powers) if self._powers else np.empty(0)
        if self._rest.size:
            powers = np.append(powers, _powers(self._rest[np.newaxis]))
        findings = [SpeechFinding.BROKEN] if self._broken else []
        clipped = self._clipped / max(1, self._samples)
        if clipped > CLIPPED:
            findings.append(SpeechFinding.CLIPPING)
        heard = _heard(powers)
        if not heard.size:
            return Sound(
                findings=(*findings, SpeechFinding.SILENT), pauses=(), speech=(0.0, 0.0), clipped=clipped
            )
        pauses = self._pauses(heard, powers.size)
        if pauses:
            findings.append(SpeechFinding.SILENCE)
        speech = (float(heard[0] * FRAME_SECONDS), self._seconds(int(heard[-1]) + 1))
        return Sound(findings=tuple(findings), pauses=pauses, speech=speech, clipped=clipped)

    def _pauses(self, heard: npt.NDArray[np.intp], frames: int) -> tuple[tuple[float, float], ...]:
        """Return the silences before, between and after the audible frames that are too long."""
        starts = np.concatenate([[0], heard + 1])
        ends = np.concatenate([heard, [frames]])
        longest = np.full(starts.size, MAX_PAUSE_SECONDS)
        longest[[0, -1]] = MAX_EDGE_SECONDS
        return tuple(
            (float(starts[at] * FRAME_SECONDS), self._seconds(int(ends[at])))
            for at in np.flatnonzero((ends - starts) * FRAME_SECONDS > longest + FRAME_SECONDS / 2)
        )

    def _seconds(self, frames: int) -> float:
        """Return the end of the first ``frames`` frames in seconds; the last frame may be incomplete."""
        return min(frames * FRAME_SECONDS, self._samples * FRAME_SECONDS / self._size)


def listen(pcm: npt.NDArray[Any], sample_rate: int) -> Sound:
    """Measure a whole utterance; see :class:`SoundMeter`."""
    meter = SoundMeter(sample_rate)
    meter.feed(pcm)
    return meter.sound()


def _powers(frames: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Compute the variance of each row, which, unlike the mean square, ignores a DC offset."""
    return frames.var(axis=1)


def _heard(powers: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return the indices of the audible frames."""
    if not powers.size:
        return np.empty(0, np.intp)
    loudest = np.sort(powers)[-round(LOUD_SECONDS / FRAME_SECONDS) :].mean()
    floor = max(10 ** (INAUDIBLE / 10), loudest * 10 ** (-QUIET_BELOW / 10))
    return np.flatnonzero(powers > floor)
