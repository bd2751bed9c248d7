"""A script being spoken: encoded audio as it comes, and when each sentence and word is heard."""

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
"""Seconds of audio encoded first, and at once on the event loop, so that the first bytes leave early."""

PIECE_SECONDS: Final = 5.0
"""Seconds of audio encoded at once after that, at most."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A passage of the script that has been spoken; all times in seconds of the whole audio.

    Attributes:
        text: As it was spoken.
        source: The piece of the request's input behind it.
        start: Its first sound.
        end: Its last sound.
        words: The words of ``source`` that are complete with it.
    """

    text: str
    source: str
    start: float
    end: float
    words: tuple[HeardWord, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """How sentences ended, and what the engine found wrong with them.

    Attributes:
        finish_reason: The worst of them, see :data:`engines.contract.FINISH_REASONS`.
        findings: Of all of them, each once.
        retries: Of all of them.
    """

    finish_reason: str = FINISH_REASONS[0]
    findings: tuple[str, ...] = ()
    retries: int = 0

    def and_then(self, spoken: Spoken) -> "Ending":
        """With one more sentence."""
        return Ending(
            max(self.finish_reason, spoken.finish_reason, key=_rank),
            tuple(dict.fromkeys((*self.findings, *spoken.findings))),
            self.retries + spoken.retries,
        )


def _rank(reason: str) -> int:
    """How bad it is; what nobody knows is worst."""
    return FINISH_REASONS.index(reason) if reason in FINISH_REASONS else len(FINISH_REASONS)


@dataclass(frozen=True, slots=True)
class Part:
    """The next bytes of the audio (perhaps none), and the sentence that ended with them, if one did."""

    data: bytes
    sentence: Sentence | None = None


class SpeechStream:
    """Speaks a script once.

    Args:
        script: What to say.
        max_seconds: Of audio, at most.
        metrics: Count how sentences ended.
        turns: Of the processor.
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
        """Whether every sentence has been spoken, though perhaps not sent."""
        return self._spoken == len(self._script.passages)

    @property
    def ending(self) -> Ending:
        """How the sentences so far ended."""
        return self._ending

    @property
    def characters(self) -> int:
        """That what has been spoken so far, to the end of its sentence, is booked with."""
        written = min(self._written, self._script.written)
        return min(booked(written, self._said), self._script.characters)

    @property
    def seconds(self) -> float:
        """Of audio, so far."""
        return self._seconds

    async def parts(self) -> AsyncGenerator[Part, None]:
        """The audio in order. Closing the generator stops the engine.

        Raises:
            EngineError: The engine could not speak, or was lost.
            ApiError: The audio grew longer than allowed, or the voice was taken back meanwhile.
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
                        # Compressing the rest here would hold up the first bytes of other requests.
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
        """``pcm`` in pieces that are encoded at once: a short one first of all, then longer ones."""
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
