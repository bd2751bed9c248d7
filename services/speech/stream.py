"""Speaking a script: encoded audio as it is produced, with the times of sentences and words."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from engines.contract import FINISH_REASONS, Pcm
from engines.text.ipa import without_ipa
from services.audio.encoders import AudioTooLong
from services.audio.pipeline import AudioPipeline
from services.errors import ApiError
from services.metrics import Metrics
from services.quota.characters import booked
from services.sharing.turns import Turns
from services.speech.script import Script
from services.speech.word_timings import HeardWord, WordTimings
from services.wire.frames import Spoken

FIRST_PIECE_SECONDS: Final = 0.2
"""Seconds of audio in the first piece, encoded on the event loop so that the first bytes are sent early."""

PIECE_SECONDS: Final = 5.0
"""Maximum seconds of audio in each later piece."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A passage that has been spoken; all times are in seconds from the start of the audio.

    Attributes:
        text: The spoken text.
        source: The part of the request's input that it came from.
        start: Time of its first sound.
        end: Time of its last sound.
        words: The words of ``source`` that are complete at its end.
    """

    text: str
    source: str
    start: float
    end: float
    words: tuple[HeardWord, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """Summary of how the sentences so far ended.

    Attributes:
        finish_reason: The worst finish reason, see :data:`engines.contract.FINISH_REASONS`.
        findings: Problems that the engine found in any of them, without duplicates.
        retries: Total number of the engine's retries.
    """

    finish_reason: str = FINISH_REASONS[0]
    findings: tuple[str, ...] = ()
    retries: int = 0

    def and_then(self, spoken: Spoken) -> "Ending":
        """Return the summary with one more sentence."""
        return Ending(
            max(self.finish_reason, spoken.finish_reason, key=_rank),
            tuple(dict.fromkeys((*self.findings, *spoken.findings))),
            self.retries + spoken.retries,
        )


def _rank(reason: str) -> int:
    """Return how bad a finish reason is; unknown reasons are the worst."""
    return FINISH_REASONS.index(reason) if reason in FINISH_REASONS else len(FINISH_REASONS)


@dataclass(frozen=True, slots=True)
class Part:
    """The next bytes of the audio, which may be empty, and the sentence that ends with them, if any."""

    data: bytes
    sentence: Sentence | None = None


class SpeechStream:
    """Speaks a script once.

    Args:
        script: The script to speak.
        max_seconds: Maximum seconds of audio.
        metrics: The metrics, for finished sentences.
        turns: Turns of CPU time.
    """

    def __init__(self, script: Script, *, max_seconds: float, metrics: Metrics, turns: Turns) -> None:
        self._script = script
        self._metrics = metrics
        self._turns = turns
        self._max_seconds = max_seconds
        self._seconds = 0.0
        self._written = 0
        self._said = 0
        self._spoken = 0
        self._ending = Ending()
        self._timings = WordTimings(script.passages)

    @property
    def complete(self) -> bool:
        """Whether all sentences have been spoken, even if they have not been sent yet."""
        return self._spoken == len(self._script.passages)

    @property
    def ending(self) -> Ending:
        """Summary of how the sentences so far ended."""
        return self._ending

    @property
    def characters(self) -> int:
        """Number of characters to book for the sentences that have been spoken completely."""
        written = min(self._written, self._script.written)
        return min(booked(written, self._said), self._script.characters)

    @property
    def seconds(self) -> float:
        """Seconds of audio so far."""
        return self._seconds

    async def parts(self) -> AsyncGenerator[Part, None]:
        """Yield the audio in order. Closing the generator stops the engine.

        Raises:
            EngineError: The engine failed, or the connection to it was lost.
            ApiError: The audio is empty or longer than allowed, or the voice was revoked meanwhile.
        """
        script = self._script
        pipeline = AudioPipeline(script.format, script.source_rate, script.sample_rate, script.tempo)
        cheap = not script.format.compressed and script.tempo == 1.0
        index, start, first = 0, None, True
        try:
            async with aclosing(script.cast.client.speak(script.call, script.cast.reader)) as events:
                async for event in events:
                    await self._turns.wait()
                    if script.cast.guard is not None:
                        await script.cast.guard.check()
                    passage = script.passages[index]
                    if start is None:
                        self._seconds += passage.pause_before
                        start = self._seconds
                        yield Part(pipeline.silence(passage.pause_before))
                    if isinstance(event, Spoken):
                        border = pipeline.end_utterance() + pipeline.silence(passage.pause_after)
                        sentence = self._sentence(event, start)
                        self._seconds += passage.pause_after
                        self._written += len(passage.source)
                        self._said += passage.said
                        self._ending = self._ending.and_then(event)
                        self._metrics.spoken(script.cast.client.name, event)
                        self._spoken += 1
                        index, start = index + 1, None
                        yield Part(border, sentence)
                        continue
                    for piece in self._pieces(event):
                        # Compressing later pieces on the event loop would delay other requests.
                        inline, first = cheap or first, False
                        data = (
                            pipeline.feed(piece)
                            if inline
                            else await self._turns.in_thread(pipeline.feed, piece)
                        )
                        yield Part(data)
            if self._seconds == 0.0:
                raise ApiError(400, "The input contains nothing that this voice can read.", param="input")
            yield Part(pipeline.finish())
        except AudioTooLong as error:
            raise ApiError(400, str(error), param="input", code="audio_too_long") from error
        finally:
            pipeline.close()

    def _pieces(self, pcm: Pcm) -> Iterator[Pcm]:
        """Split ``pcm`` into pieces to encode: a short one at the start of the audio, then longer ones."""
        rate = self._script.source_rate
        at = 0
        while at < pcm.size:
            size = round((PIECE_SECONDS if self._seconds else FIRST_PIECE_SECONDS) * rate)
            piece = pcm[at : at + size]
            at += piece.size
            self._seconds += piece.size / rate / self._script.tempo
            if self._seconds > self._max_seconds:
                message = f"The audio would be longer than {self._max_seconds:g} s."
                raise ApiError(400, message, param="input", code="audio_too_long")
            yield piece

    def _sentence(self, spoken: Spoken, start: float) -> Sentence:
        passage = self._script.passages[spoken.index]
        tempo = self._script.tempo
        words = [
            replace(word, start=start + word.start / tempo, end=start + word.end / tempo)
            for word in spoken.words
        ]
        heard = self._timings.heard(spoken.index, words)
        return Sentence(without_ipa(passage.text), passage.source, start, self._seconds, heard)
