"""Concurrent synthesis of all callers' sentences: one thread decodes them together, others render them.

::

    submit ──▶ inbox ──join──▶ rows of the decoder ──latents──▶ takes ──windows──▶ renderers ──▶ PCM
                                  a token for all rows at each step         the first audio first

On the CPU, each thread uses one core. Decoding reads all weights for each token, so it gains most from many
rows; in rendering, a single window keeps a core busy. Torch releases the GIL while it computes.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from engines.contract import Abandoned, EngineError, EngineUnavailable, Outcome, Pcm, Speech
from engines.memory import trim
from engines.xtts.checks import Watch, safer
from engines.xtts.decoder import Decoder, Prefix
from engines.xtts.findings import SpeechFinding
from engines.xtts.generation import Generation, Row
from engines.xtts.latents import LatentStream
from engines.xtts.prefixes import Prefixes
from engines.xtts.sampling import Sampling
from engines.xtts.sentence import Sentence, Take, TakeState
from engines.xtts.sound import listen
from engines.xtts.vocoder import Vocoder

logger = logging.getLogger(__name__)

TRIMMED: Final = 50
"""Number of sentences after which free memory is returned: tensors of varying length fragment it."""

WARM_UP_SECONDS: Final = 60.0
"""Maximum time of the warm-up sentence, in seconds; most of it is compilation."""

CLOSING_SECONDS: Final = 30.0
"""Maximum time to wait for a thread to end, in seconds; threads check for it between two steps."""

_NOBODY: Final = ""
"""Voice ID of the warm-up sentence; other voices have names."""

_LETTERS: Final = 45
"""Number of tokens in the warm-up sentence, as in a usual one."""


@dataclass(frozen=True, slots=True)
class Load:
    """The current load.

    Attributes:
        waiting: Number of sentences without a slot yet.
        decoding: Number of sentences in slots.
        slots: Number of slots.
        steps: Number of steps so far.
        tokens: Number of tokens decoded so far.
    """

    waiting: int
    decoding: int
    slots: int
    steps: int
    tokens: int


class Synthesis:
    """Speaks sentences with one decoder and one vocoder, in its own threads.

    Args:
        decoder: The decoder; from now on, only its thread may use it.
        vocoder: The vocoder, which all renderers use.
        slots: Maximum number of sentences decoded at once.
        renderers: Number of threads that render.
        prefix_bytes: Maximum size of the cache of voices' keys and values.
    """

    def __init__(
        self, decoder: Decoder, vocoder: Vocoder, *, slots: int, renderers: int, prefix_bytes: int
    ) -> None:
        self._decoder = decoder
        self._vocoder = vocoder
        self._generation = Generation(decoder, slots)
        self._prefixes = Prefixes(prefix_bytes)
        self._slots = slots
        self._inbox: deque[Sentence] = deque()
        self._rows: dict[Row, tuple[Sentence, Take]] = {}
        self._ready: list[tuple[Sentence, Take]] = []
        self._offered: set[Take] = set()  # takes that are ready or being rendered
        self._changed = threading.Condition()
        self._numbers = 0
        self._steps = 0
        self._tokens = 0
        self._ended = 0
        self._closed = False
        self._batch = 1 if decoder.device.type == "cpu" else slots
        self._threads = [threading.Thread(target=self._decode, name="xtts-decoder", daemon=True)]
        self._threads += [
            threading.Thread(target=self._render, name=f"xtts-renderer-{number}", daemon=True)
            for number in range(renderers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def slots(self) -> int:
        """Current maximum number of sentences decoded at once."""
        return self._slots

    @property
    def load(self) -> Load:
        """The current load."""
        with self._changed:
            return Load(len(self._inbox), len(self._rows), self._slots, self._steps, self._tokens)

    def submit(self, sentence: Sentence) -> None:
        """Speak a sentence; its ``emit`` receives the audio, and one outcome at the end.

        Raises:
            EngineUnavailable: The synthesis is closed.
        """
        with self._changed:
            if self._closed:
                raise EngineUnavailable("The engine is not loaded.")
            self._numbers += 1
            sentence.number = self._numbers
            self._inbox.append(sentence)
            self._changed.notify_all()

    def warm_up(self) -> None:
        """Speak a short dummy sentence; blocking.

        Raises:
            EngineUnavailable: The sentence failed, or took too long.
        """
        outcomes: queue.SimpleQueue[Pcm | Outcome] = queue.SimpleQueue()
        shape = self._decoder.shape
        self.submit(
            Sentence(
                text="",
                tokens=[0] * min(_LETTERS, shape.max_text),  # the text does not matter
                voice=_NOBODY,
                latents=torch.zeros(1, shape.width),
                speaker=torch.zeros(self._vocoder.speaker_width, 1, device=self._decoder.device),
                sampling=Sampling(greedy=True, max_tokens=2),
                speed=1.0,
                token_samples=1.0,
                checked=False,
                retries=0,
                emit=outcomes.put,
                abandoned=lambda: False,
                awaited=lambda: True,
            )
        )
        try:
            while not isinstance(outcome := outcomes.get(timeout=WARM_UP_SECONDS), Speech | EngineError):
                continue
        except queue.Empty:
            raise EngineUnavailable("The first sentence took too long.") from None
        finally:
            self.forget(_NOBODY)
        if isinstance(outcome, EngineError):
            raise EngineUnavailable(outcome.message)

    def forget(self, voice: str) -> None:
        """Remove the cached data of a voice."""
        self._prefixes.forget(voice)

    def close(self) -> None:
        """End the threads; running sentences end with ``EngineUnavailable``."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(CLOSING_SECONDS)
        error = EngineUnavailable("The engine is shutting down.")
        for sentence, _ in [*self._rows.values(), *self._ready]:
            sentence.fail(error)
        for sentence in self._inbox:
            sentence.fail(error)
        self._generation.clear()

    def _decode(self) -> None:
        self._use_one_core()
        while (coming := self._next()) is not None:
            sentences = [*coming, *(sentence for sentence, _ in self._rows.values())]
            try:
                self._leave_abandoned()
                for sentence in coming:
                    self._join(sentence)
                self._step()
            except torch.OutOfMemoryError:
                self._make_do(sentences)
            except EngineError as error:
                self._lose(sentences, error)
            except Exception as error:  # any failure must end the waiting sentences
                logger.exception("decoding failed")
                self._lose(sentences, EngineUnavailable(f"Decoding failed: {type(error).__name__}."))

    def _next(self) -> list[Sentence] | None:
        """Wait for work; return the sentence that may join now, if any, or ``None`` after closing.

        Only one at a time, so that running sentences wait for at most one text to be processed.
        """
        with self._changed:
            while not self._closed and not self._inbox and not self._rows:
                self._changed.wait()
            if self._closed:
                return None
            return [self._inbox.popleft()] if self._inbox and self._generation.free else []

    def _join(self, sentence: Sentence) -> None:
        if not sentence.open:
            sentence.fail(Abandoned("The utterance was abandoned."))
            return
        sampling, before = sentence.sampling, sentence.take
        if before is not None:
            sampling = safer(sampling, len(sentence.takes), before.verdict.findings, before.least)
        stream = LatentStream(sentence.speaker, config=self._vocoder.shape, speed=sentence.speed)
        take = Take(sampling, stream, sentence.lock)

        def latent(values: torch.Tensor) -> None:
            if take.add(values):
                self._offer(sentence, take)

        watch = Watch(sentence.text, sampling.max_tokens) if sentence.checked else None
        take.least = watch.least if watch else 0
        row = Row(sentence.tokens, self._prefix(sentence), sampling, latent, watch)
        self._generation.join(row)
        sentence.takes.append(take)
        self._rows[row] = sentence, take

    def _prefix(self, sentence: Sentence) -> Prefix:
        return self._prefixes.get(sentence.voice, lambda: self._decoder.prefix(sentence.latents))

    def _step(self) -> None:
        ended = self._generation.step()
        self._steps += 1
        self._tokens += len(self._rows)
        for row in ended:
            sentence, take = self._rows.pop(row)
            self._decoded(sentence, take, row)
            self._ended += 1
            if self._ended % TRIMMED == 0:
                trim()
        for sentence, _ in self._rows.values():
            sentence.flush()

    def _decoded(self, sentence: Sentence, take: Take, row: Row) -> None:
        if row.watch is not None:
            verdict = row.watch.verdict()
            if not row.stopped and not verdict.findings:
                verdict = replace(verdict, findings=(SpeechFinding.LENGTH,))
        else:
            verdict = replace(
                take.verdict, findings=() if row.stopped else (SpeechFinding.LENGTH,), keep=len(row.tokens)
            )
        take.end(verdict)
        if self._again(sentence, take):
            return
        if (best := sentence.choose(take)) is not None:
            self._offer(sentence, best)

    def _again(self, sentence: Sentence, take: Take) -> bool:
        """Retry a sentence if it is defective and nothing of it was emitted; return whether it is retried."""
        if not sentence.checked or not take.verdict.findings or not sentence.open:
            return False
        asked_for = take.sampling.max_tokens < self._decoder.shape.max_audio
        if take.verdict.findings == (SpeechFinding.LENGTH,) and asked_for:
            return False
        if not sentence.replace(take):
            return False
        with self._changed:
            self._inbox.appendleft(sentence)
            self._changed.notify_all()
        return True

    def _offer(self, sentence: Sentence, take: Take) -> None:
        """Queue a take for the renderers, unless it is queued or being rendered."""
        with self._changed:
            if take not in self._offered:
                self._offered.add(take)
                self._ready.append((sentence, take))
                self._changed.notify_all()

    def _render(self) -> None:
        self._use_one_core()
        while (batch := self._next_takes()) is not None:
            try:
                self._render_batch(batch)
            except Exception as error:  # as above
                logger.exception("rendering failed")
                failure = EngineUnavailable(f"The vocoder failed: {type(error).__name__}.")
                for sentence, take in batch:
                    sentence.fail(failure)
                    with self._changed:
                        self._offered.discard(take)

    def _next_takes(self) -> Sequence[tuple[Sentence, Take]] | None:
        """Return the next takes to render: awaited ones first, then those with the least audio."""
        with self._changed:
            while not self._closed and not self._ready:
                self._changed.wait()
            if self._closed:
                return None
            self._ready.sort(key=_urgency)
            batch, self._ready = self._ready[: self._batch], self._ready[self._batch :]
            return batch

    def _render_batch(self, batch: Sequence[tuple[Sentence, Take]]) -> None:
        windows = [
            (sentence, take, window)
            for sentence, take in batch
            if sentence.open and (window := take.next_window()) is not None
        ]
        for (sentence, take, _), samples in zip(
            windows, self._vocoder.render([window for _, _, window in windows]), strict=True
        ):
            take.rendered(samples)
            if take is sentence.take:
                sentence.flush()
        rendered = {take for _, take, _ in windows}
        for sentence, take in batch:
            self._rendered(sentence, take, more=take in rendered)

    def _rendered(self, sentence: Sentence, take: Take, *, more: bool) -> None:
        with self._changed:  # so that either the decoder offers it again, or its end is seen here
            self._offered.discard(take)
            over = take.finish()
        if sentence.abandoned():
            sentence.fail(Abandoned("The utterance was abandoned."))
        elif over:
            self._over(sentence, take)
        elif take.wanted and (more or take.state is TakeState.DECODED):
            self._offer(sentence, take)

    def _over(self, sentence: Sentence, take: Take) -> None:
        if take is not sentence.take:
            return
        if sentence.checked:
            heard = listen(take.pcm, self._vocoder.sample_rate)
            verdict = take.verdict.heard(heard)
            if take.broken and SpeechFinding.BROKEN not in verdict.findings:
                verdict = replace(verdict, findings=(*verdict.findings, SpeechFinding.BROKEN))
            take.verdict = verdict
            if self._again(sentence, take):
                return
        best = sentence.choose(take)
        if best is take:
            sentence.close(take)
        elif best is not None:
            self._offer(sentence, best)

    def _use_one_core(self) -> None:
        """Limit torch to one core per thread, since threads that share an operation wait for each other."""
        if self._decoder.device.type == "cpu":
            torch.set_num_threads(1)

    def _leave_abandoned(self) -> None:
        for row, (sentence, take) in list(self._rows.items()):
            if not sentence.open:
                self._generation.leave(row)
                del self._rows[row]
                take.become(TakeState.CLOSED)
                sentence.fail(Abandoned("The utterance was abandoned."))

    def _lose(self, sentences: Sequence[Sentence], error: EngineError) -> None:
        self._generation.clear()
        self._rows.clear()
        for sentence in sentences:
            sentence.fail(error)

    def _make_do(self, sentences: Sequence[Sentence]) -> None:
        """After running out of memory, halve the slots and restart the sentences.

        As each has a seed, it repeats the same speech, and continues after the samples already emitted.
        """
        self._generation.clear()
        self._rows.clear()
        self._prefixes.clear()
        if self._decoder.device.type == "cuda":
            torch.cuda.empty_cache()
        fewer = max(1, self._slots // 2)
        logger.warning("out of memory with %d slots; continuing with %d", self._slots, fewer)
        if fewer == self._slots:
            self._lose(sentences, EngineUnavailable("There is not enough memory for one sentence."))
            return
        self._slots = fewer
        self._decoder.resize(fewer)
        self._generation = Generation(self._decoder, fewer)
        with self._changed:
            for sentence in reversed(sentences):
                sentence.restart()
                self._inbox.appendleft(sentence)


def _urgency(ready: tuple[Sentence, Take]) -> tuple[bool, int, int]:
    sentence, take = ready
    return not sentence.awaited(), take.samples, sentence.number
