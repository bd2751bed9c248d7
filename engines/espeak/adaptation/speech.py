"""Conversion of a batch's speech, of which some utterances have a prepared voice."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from engines.contract import Pcm, Speech, Streamed
from engines.espeak.adaptation.filtering import Transformation
from engines.espeak.adaptation.voice import AdaptedVoice
from engines.recordings.spectra import RATE

PIECE: Final = RATE // 2
"""Minimum number of samples transformed at once: fewer cost more per sample, more delay the first ones."""


@dataclass(slots=True, eq=False)
class Adapted:
    """The state of an utterance in an adapted voice.

    Attributes:
        voice: The voice.
        transformation: The conversion of its PCM.
        waiting: PCM of eSpeak NG that has not been converted.
    """

    voice: AdaptedVoice
    transformation: Transformation = field(init=False)
    waiting: list[Pcm] = field(default_factory=list[Pcm])

    def __post_init__(self) -> None:
        """Create the transformation."""
        self.transformation = Transformation(self.voice)

    async def feed(self, pcm: Pcm) -> Pcm:
        """Process samples; return those that are ready."""
        self.waiting.append(pcm)
        if sum(len(part) for part in self.waiting) < PIECE:
            return pcm[:0]
        return await asyncio.to_thread(self.transformation.feed, self._taken())

    async def finish(self) -> Pcm:
        """Return the remaining samples."""
        return await asyncio.to_thread(self._finish)

    def _finish(self) -> Pcm:
        parts = [self.transformation.feed(self._taken())] if self.waiting else []
        return np.concatenate([*parts, self.transformation.finish()])

    def _taken(self) -> Pcm:
        whole = np.concatenate(self.waiting)
        self.waiting.clear()
        return whole

    def timed(self, speech: Speech) -> Speech:
        """Return the outcome, with word timings after playing it faster."""
        stretch = self.voice.delivery.stretch
        words = tuple(replace(w, start=w.start / stretch, end=w.end / stretch) for w in speech.words)
        return replace(speech, words=words)


async def transformed(
    items: AsyncIterable[Streamed], adapted: Mapping[int, Adapted]
) -> AsyncGenerator[Streamed, None]:
    """Yield the items of a batch, with the utterances in ``adapted`` (by index) converted to their voices."""
    async for index, item in items:
        mine = adapted.get(index)
        if mine is None:
            yield index, item
        elif isinstance(item, np.ndarray):
            if (pcm := await mine.feed(item)).size:
                yield index, pcm
        elif isinstance(item, Speech):
            if (pcm := await mine.finish()).size:
                yield index, pcm
            yield index, mine.timed(item)
        else:
            yield index, item
