"""From what the model says to what is heard: no silence around it, no clipping, words with their times."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from engines.contract import Pcm, WordTiming
from engines.kokoro.graph import Floats
from engines.kokoro.pronunciation import Phrase
from engines.kokoro.rates import FRAME, SAMPLE_RATE
from engines.kokoro.session import Spoken

BEFORE: Final = 0.02
"""Seconds kept before the first sound."""
AFTER: Final = 0.045
"""Seconds kept after the last one, which fades out."""
_FADE: Final = 0.005
"""Seconds in which the edges are faded, so that none clicks."""
_WINDOW: Final = 120
"""Samples in which loudness is measured: 5 ms."""
_FAINT: Final = 0.003
"""Of the loudest window: what is quieter before speech is silence. The model's own is far below it; at 0.005
the judge missed an unstressed “and”."""
_QUIET: Final = 0.005
"""The same after speech, where a fading vowel is not missed."""
_PAUSE: Final = 0.01
"""The same between words, where it is not as silent."""
_SHORTEST_PAUSE: Final = 0.04
"""Seconds; closures of plosives are as short."""
_EARLY: Final = 0.05
"""Seconds by which sounds begin before their symbols do, on the average of words beside pauses."""
_LATE: Final = 0.2
"""Seconds around a border in which its pause is looked for."""
_HIGHEST: Final = 0.98


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """A phrase, ready to be sent.

    Attributes:
        pcm: 24 kHz.
        words: Times from the start of ``pcm``.
    """

    pcm: Pcm
    words: tuple[WordTiming, ...]


def finish(spoken: Spoken, phrase: Phrase) -> Heard:
    """Cut, level and time a phrase.

    Args:
        spoken: What the model said.
        phrase: What it was given.
    """
    samples = spoken.samples
    loudness = _loudness(samples)
    first, last = _audible(loudness)
    # A symbol's sound begins before it does, never after: its time bounds what is cut.
    if spoken.frames is not None:
        first = min(first, int(spoken.frames[0]) * FRAME // _WINDOW)
    start = max(0, first * _WINDOW - round(BEFORE * SAMPLE_RATE))
    end = min(samples.size, last * _WINDOW + round(AFTER * SAMPLE_RATE))
    words = _timed(spoken.frames, phrase, loudness, first, last, start) if spoken.frames is not None else ()
    return Heard(_levelled(samples[start:end]), words)


def _loudness(samples: Floats) -> Floats:
    """Root mean square of each window, shape ``(windows,)``."""
    whole = samples[: samples.size // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    return np.sqrt(np.einsum("ij,ij->i", whole, whole) / _WINDOW)


def _audible(loudness: Floats) -> tuple[int, int]:
    """The first window that is heard, and the one after the last."""
    loudest = loudness.max(initial=0.0)
    faint, heard = (np.flatnonzero(loudness > level * loudest) for level in (_FAINT, _QUIET))
    return (int(faint[0]), int(heard[-1]) + 1) if heard.size else (0, loudness.size)


def _levelled(samples: Floats) -> Pcm:
    """16 bits, the edges faded; what would clip is made quieter as a whole."""
    samples = samples.copy()
    fade = min(round(_FADE * SAMPLE_RATE), samples.size // 2)
    if fade:
        ramp = np.linspace(0, 1, fade, dtype=np.float32)
        samples[:fade] *= ramp
        samples[-fade:] *= ramp[::-1]
    peak = float(np.abs(samples).max(initial=0.0))
    scale = 32_767 * (_HIGHEST / peak if peak > _HIGHEST else 1.0)
    return np.rint(samples * scale).astype(np.int16)


def _timed(
    frames: npt.NDArray[np.int64], phrase: Phrase, loudness: Floats, first: int, last: int, start: int
) -> tuple[WordTiming, ...]:
    """The words' times, in seconds from the sample ``start``."""
    if not phrase.words or frames.size != len(phrase.symbols) + 2:
        return ()
    ends = np.cumsum(frames) * FRAME / SAMPLE_RATE
    # The symbol before a word's first ends where the word begins; one more stands before all of them.
    borders = [[float(ends[word.start]) - _EARLY, float(ends[word.end]) - _EARLY] for word in phrase.words]
    for before, after in itertools.pairwise(borders):
        pause = _pause(loudness, before, after)
        if pause is not None:
            before[1], after[0] = pause
    window = _WINDOW / SAMPLE_RATE
    borders[0][0], borders[-1][1] = first * window, last * window
    return tuple(_ascending(phrase, borders, start / SAMPLE_RATE, last * window))


def _pause(loudness: Floats, before: Sequence[float], after: Sequence[float]) -> tuple[float, float] | None:
    """The longest silence around the border of two words, as seconds from and to, if there is one."""
    window = _WINDOW / SAMPLE_RATE
    low = max(0, round(max(before[0] + _EARLY, before[1] - _LATE) / window))
    high = min(loudness.size, round(min(after[1] - _EARLY, after[0] + _EARLY) / window))
    quiet = loudness[low:high] <= _PAUSE * loudness.max(initial=0.0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    if not edges.size:
        return None
    runs = edges.reshape(-1, 2)
    longest = runs[np.argmax(runs[:, 1] - runs[:, 0])]
    if (longest[1] - longest[0]) * window < _SHORTEST_PAUSE:
        return None
    return (low + int(longest[0])) * window, (low + int(longest[1])) * window


def _ascending(
    phrase: Phrase, borders: Sequence[Sequence[float]], start: float, latest: float
) -> list[WordTiming]:
    words: list[WordTiming] = []
    at = start
    for word, (wanted, until) in zip(phrase.words, borders, strict=True):
        begin = min(max(wanted, at), latest)
        at = min(max(until, begin), latest)
        words.append(WordTiming(word.word, begin - start, at - start, word.offset))
    return words
