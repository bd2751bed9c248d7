"""Speech of a batch, of which some utterances are in voices made from recordings."""

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
"""Least samples transformed at once: fewer cost more each, more delay the first."""


@dataclass(slots=True, eq=False)
class Adapted:
    """An utterance in an adapted voice, while it is spoken.

    Attributes:
        voice: The voice.
        transformation: Its state.
        waiting: PCM of eSpeak NG that is not transformed yet.
    """

    voice: AdaptedVoice
    transformation: Transformation = field(init=False)
    waiting: list[Pcm] = field(default_factory=list[Pcm])

    def __post_init__(self) -> None:
        """Begin."""
        self.transformation = Transformation(self.voice)

    async def feed(self, pcm: Pcm) -> Pcm:
        """What is ready after ``pcm``."""
        self.waiting.append(pcm)
        if sum(len(part) for part in self.waiting) < PIECE:
            return pcm[:0]
        return await asyncio.to_thread(self.transformation.feed, self._taken())

    async def finish(self) -> Pcm:
        """What is left."""
        return await asyncio.to_thread(self._finish)

    def _finish(self) -> Pcm:
        parts = [self.transformation.feed(self._taken())] if self.waiting else []
        return np.concatenate([*parts, self.transformation.finish()])

    def _taken(self) -> Pcm:
        whole = np.concatenate(self.waiting)
        self.waiting.clear()
        return whole

    def timed(self, speech: Speech) -> Speech:
        """The outcome, with word times as played."""
        stretch = self.voice.delivery.stretch
        words = tuple(replace(w, start=w.start / stretch, end=w.end / stretch) for w in speech.words)
        return replace(speech, words=words)


async def transformed(
    items: AsyncIterable[Streamed], adapted: Mapping[int, Adapted]
) -> AsyncGenerator[Streamed, None]:
    """The speech of a batch, with the utterances in ``adapted`` (by index) in their voices."""
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
