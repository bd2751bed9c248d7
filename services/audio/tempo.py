"""Streaming time-stretching at unchanged pitch, with FFmpeg's ``atempo`` filter (WSOLA)."""

from fractions import Fraction
from typing import Final, cast

import av
import numpy as np
from av.error import BlockingIOError as FilterEmpty
from av.error import EOFError as FilterEnded
from av.filter import Graph
from av.filter.context import FilterContext

from engines.contract import Pcm

SLOWEST: Final = 0.25
FASTEST: Final = 4.0

_LEAST: Final = 0.5
"""Minimum factor of one ``atempo`` filter."""
_MOST: Final = 2.0
"""Maximum factor of one ``atempo`` filter; beyond, it skips samples, and short sounds are lost."""
_PIECE_SECONDS: Final = 0.05
"""Seconds pushed at once; a chain outputs nothing of a frame before the next one arrives."""
_LEAD_SECONDS: Final = 0.1
"""Seconds of silence before an utterance, which are cut off again: a slow filter's first overlap clicks."""
_TAIL_SECONDS: Final = 0.4
"""Seconds of silence after an utterance: more than a chain holds back at any factor."""


class Tempo:
    """Changes the tempo of utterances, each separately.

    An utterance of ``n`` samples becomes exactly ``round(n / factor)`` samples; sounds are within a few
    hundredths of a second of their ideal place.

    Args:
        sample_rate: Sample rate in hertz.
        factor: Factor from 0.25 to 4: the output is ``1 / factor`` as long as the input.

    Raises:
        ValueError: The factor is out of range.
    """

    def __init__(self, sample_rate: int, factor: float) -> None:
        if not SLOWEST <= factor <= FASTEST:
            raise ValueError(f"The tempo {factor} is not between {SLOWEST} and {FASTEST}.")
        self._rate = sample_rate
        self._factor = factor
        self._filter: _Filter | None = None
        self._lead = 0
        self._taken = 0
        self._given = 0

    def feed(self, pcm: Pcm) -> Pcm:
        """Process samples of an utterance; return the stretched ones that are ready."""
        if not pcm.size:
            return pcm
        if self._filter is None:
            self._filter = _Filter(self._rate, self._factor)
            lead = np.zeros(round(_LEAD_SECONDS * self._rate), np.int16)
            self._lead = round(lead.size / self._factor)
            self._give(self._filter.feed(lead))
        self._taken += pcm.size
        return self._give(self._filter.feed(pcm))

    def end_utterance(self) -> Pcm:
        """Return the rest of the utterance, and start a new one."""
        if self._filter is None:
            return np.zeros(0, np.int16)
        silence = np.zeros(round(_TAIL_SECONDS * self._rate), np.int16)
        rest = np.concatenate([self._filter.feed(silence), self._filter.finish()])
        rest = self._give(rest)
        missing = self._due - self._given
        self.close()
        return np.pad(rest, (0, missing)) if missing else rest

    def close(self) -> None:
        """Free the filter and discard the utterance. Further calls do nothing."""
        self._filter = None
        self._lead = self._taken = self._given = 0

    @property
    def _due(self) -> int:
        """Number of samples of the utterance so far, after stretching."""
        return round(self._taken / self._factor)

    def _give(self, pcm: Pcm) -> Pcm:
        cut = min(self._lead, pcm.size)
        self._lead -= cut
        given = pcm[cut : cut + max(0, self._due - self._given)]
        self._given += given.size
        return given


class _Filter:
    """A chain of ``atempo`` filters for one utterance."""

    def __init__(self, rate: int, factor: float) -> None:
        self._rate = rate
        self._position = 0
        self._graph = Graph()
        stages: list[FilterContext] = [
            self._graph.add_abuffer(
                sample_rate=rate, format="s16", layout="mono", time_base=Fraction(1, rate)
            )
        ]
        count = 1 if _LEAST <= factor <= _MOST else 2
        stages += [self._graph.add("atempo", f"{factor ** (1 / count):.12f}") for _ in range(count)]
        stages.append(self._graph.add("abuffersink"))
        self._graph.link_nodes(*stages).configure()
        self._source, self._sink = stages[0], stages[-1]

    def feed(self, pcm: Pcm) -> Pcm:
        parts: list[Pcm] = []
        size = round(_PIECE_SECONDS * self._rate)
        for start in range(0, pcm.size, size):
            piece = np.ascontiguousarray(pcm[start : start + size])
            frame = av.AudioFrame.from_ndarray(piece[np.newaxis], format="s16", layout="mono")
            frame.sample_rate = self._rate
            frame.pts = self._position
            frame.time_base = Fraction(1, self._rate)
            self._position += piece.size
            self._source.push(frame)
            parts += self._pull()
        return _joined(parts)

    def finish(self) -> Pcm:
        self._source.push(None)
        return _joined(self._pull())

    def _pull(self) -> list[Pcm]:
        parts: list[Pcm] = []
        while True:
            try:
                frame = cast("av.AudioFrame", self._sink.pull())
            except (FilterEmpty, FilterEnded):
                return parts
            parts.append(frame.to_ndarray().reshape(-1).astype(np.int16, copy=False))


def _joined(parts: list[Pcm]) -> Pcm:
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)
