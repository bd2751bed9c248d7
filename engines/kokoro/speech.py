"""Postprocessing of the model's output: trims silence, prevents clipping, and times the words."""

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
"""Seconds kept after the last sound, which fades out."""
_FADE: Final = 0.005
"""Length of the fade at both edges in seconds, which avoids clicks."""
_WINDOW: Final = 120
"""Number of samples per window of the loudness measurement: 5 ms."""
_FAINT: Final = 0.003
"""Level before speech, relative to the loudest window, below which a window is silent.

The model's silence is far below it; at 0.005 the judge missed an unstressed “and”.
"""
_QUIET: Final = 0.005
"""The same level after speech, where the end of a fading vowel is not missed."""
_PAUSE: Final = 0.01
"""The same level between words, where pauses are less silent."""
_SHORTEST_PAUSE: Final = 0.04
"""Minimum length of a pause in seconds; closures of plosives are shorter."""
_EARLY: Final = 0.05
"""Seconds by which sounds begin before their symbols, averaged over words next to pauses."""
_LATE: Final = 0.2
"""Seconds before a border between words, in which a pause is searched for."""
_HIGHEST: Final = 0.98


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """A phrase, ready to be sent.

    Attributes:
        pcm: Samples at 24 kHz.
        words: Words with times relative to the start of ``pcm``.
    """

    pcm: Pcm
    words: tuple[WordTiming, ...]


def finish(spoken: Spoken, phrase: Phrase) -> Heard:
    """Trim and scale a phrase, and time its words.

    Args:
        spoken: The model's output.
        phrase: The model's input.
    """
    samples = spoken.samples
    loudness = _loudness(samples)
    first, last = _audible(loudness)
    # A sound never begins after its symbol, whose time therefore limits the trimming.
    if spoken.frames is not None:
        first = min(first, int(spoken.frames[0]) * FRAME // _WINDOW)
    start = max(0, first * _WINDOW - round(BEFORE * SAMPLE_RATE))
    end = min(samples.size, last * _WINDOW + round(AFTER * SAMPLE_RATE))
    words = _timed(spoken.frames, phrase, loudness, first, last, start) if spoken.frames is not None else ()
    return Heard(_levelled(samples[start:end]), words)


def _loudness(samples: Floats) -> Floats:
    """Compute the root mean square of each window, shape ``(windows,)``."""
    whole = samples[: samples.size // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    return np.sqrt(np.einsum("ij,ij->i", whole, whole) / _WINDOW)


def _audible(loudness: Floats) -> tuple[int, int]:
    """Find the first audible window, and the one after the last."""
    loudest = loudness.max(initial=0.0)
    faint, heard = (np.flatnonzero(loudness > level * loudest) for level in (_FAINT, _QUIET))
    return (int(faint[0]), int(heard[-1]) + 1) if heard.size else (0, loudness.size)


def _levelled(samples: Floats) -> Pcm:
    """Convert to 16 bits with faded edges; audio that would clip is scaled down as a whole."""
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
    """Time the words, in seconds from the sample ``start``."""
    if not phrase.words or frames.size != len(phrase.symbols) + 2:
        return ()
    ends = np.cumsum(frames) * FRAME / SAMPLE_RATE
    # A word begins where the symbol before its first one ends; ``frames`` begins with the leading pad.
    borders = [[float(ends[word.start]) - _EARLY, float(ends[word.end]) - _EARLY] for word in phrase.words]
    for before, after in itertools.pairwise(borders):
        pause = _pause(loudness, before, after)
        if pause is not None:
            before[1], after[0] = pause
    window = _WINDOW / SAMPLE_RATE
    borders[0][0], borders[-1][1] = first * window, last * window
    return tuple(_ascending(phrase, borders, start / SAMPLE_RATE, last * window))


def _pause(loudness: Floats, before: Sequence[float], after: Sequence[float]) -> tuple[float, float] | None:
    """Find the longest pause around the border of two words, as start and end in seconds, if there is one."""
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
