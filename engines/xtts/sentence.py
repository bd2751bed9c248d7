"""One utterance, from tokens to PCM, with its takes (tries)."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.contract import EngineError, Outcome, Pcm, Speech
from engines.xtts.checks import Verdict
from engines.xtts.latents import LatentStream, LatentWindow
from engines.xtts.sampling import Sampling

FADE_TOKENS: Final = 0.215
"""Length of the fade-out of speech that is cut off, in tokens: 10 ms at the voice's own rate."""

TOGETHER: Final = 4
"""Number of latents passed on at once: 0.19 s, so that not every token wakes the vocoder."""


class TakeState(Enum):
    """The state of a take.

    ::

        DECODING ──▶ DECODED ──▶ RENDERED
                      │  ▲           │
                      ▼  │           │
                      ASIDE ◀────────┘

        any of them ──▶ CLOSED
    """

    DECODING = auto()
    """Latents are being decoded, and rendered as they arrive."""
    DECODED = auto()
    """All latents are decoded, and the rest is being rendered."""
    RENDERED = auto()
    """All samples are rendered, and can be checked."""
    ASIDE = auto()
    """Another take is being decoded, or is preferred. This one is resumed if it turns out to be the best."""
    CLOSED = auto()
    """The take is discarded: the sentence has its outcome, or is restarted."""


_NEXT: Final = {
    TakeState.DECODING: {TakeState.DECODED, TakeState.CLOSED},
    TakeState.DECODED: {TakeState.RENDERED, TakeState.ASIDE, TakeState.CLOSED},
    TakeState.RENDERED: {TakeState.ASIDE, TakeState.CLOSED},
    TakeState.ASIDE: {TakeState.DECODED, TakeState.CLOSED},
    TakeState.CLOSED: {TakeState.CLOSED},
}


class Take:
    """One try at a sentence, whose latents are rendered to PCM as they are decoded.

    One thread decodes and adds latents; at most one at a time renders.

    Args:
        sampling: Sampling settings.
        stream: Converts the latents to windows.
        lock: Lock of the sentence, which protects all state.
    """

    def __init__(self, sampling: Sampling, stream: LatentStream, lock: threading.RLock) -> None:
        self.sampling = sampling
        self.stream = stream
        self._lock = lock
        self._state = TakeState.DECODING
        self.broken = False
        """Whether some samples were NaN or infinite."""
        self.least = 0
        """Number of tokens that a fast reader needs for the text; 0 if unknown."""
        self.verdict = Verdict()
        self._waiting: list[Tensor] = []
        self._pcm: list[Pcm] = []
        self.samples = 0

    @property
    def state(self) -> TakeState:
        """Current state."""
        return self._state

    @property
    def wanted(self) -> bool:
        """Whether the available windows should be rendered."""
        return self._state in {TakeState.DECODING, TakeState.DECODED}

    @property
    def complete(self) -> bool:
        """Whether all latents are decoded, and the take is neither set aside nor closed."""
        return self._state in {TakeState.DECODED, TakeState.RENDERED}

    def become(self, state: TakeState) -> None:
        """Change the state.

        Raises:
            ValueError: The transition is invalid.
        """
        with self._lock:
            if state not in _NEXT[self._state]:
                raise ValueError(f"a take that is {self._state.name} cannot become {state.name}")
            self._state = state

    def add(self, latent: Tensor) -> bool:
        """Add the next latent ``(width,)``; return whether latents were passed on."""
        self._waiting.append(latent)
        if len(self._waiting) < TOGETHER:
            return False
        self._pass_on()
        return True

    def end(self, verdict: Verdict) -> None:
        """End the latents, with the verdict on the tokens."""
        self.verdict = verdict
        if self._waiting:
            self._pass_on()
        with self._lock:
            self.stream.finish()
            if self._state is TakeState.DECODING:
                self.become(TakeState.DECODED)

    def next_window(self) -> LatentWindow | None:
        """Return the next window to render; ``None`` if more latents are needed, or if it is not wanted."""
        with self._lock:
            return self.stream.next_window() if self.wanted else None

    def finish(self) -> bool:
        """Mark the take as rendered if its last window was; return whether this call did so."""
        with self._lock:
            if self._state is not TakeState.DECODED or not self.stream.done:
                return False
            self.become(TakeState.RENDERED)
            return True

    def rendered(self, samples: Tensor) -> None:
        """Add the samples of the next window, float32 from -1 to 1."""
        broken = not bool(samples.isfinite().all())
        pcm = to_pcm(samples)
        with self._lock:
            self.broken = self.broken or broken
            self._pcm.append(pcm)
            self.samples += len(pcm)

    @property
    def pcm(self) -> Pcm:
        """All PCM rendered so far."""
        with self._lock:
            if len(self._pcm) != 1:
                self._pcm = [np.concatenate(self._pcm) if self._pcm else np.empty(0, np.int16)]
            return self._pcm[0]

    def _pass_on(self) -> None:
        together = torch.stack(self._waiting)
        self._waiting.clear()
        with self._lock:
            self.stream.append(together)


@dataclass(slots=True, eq=False)
class Sentence:
    """An utterance being spoken.

    Attributes:
        text: Text, for the checks.
        tokens: Tokens of the text.
        voice: ID of the voice.
        latents: The voice's latents for the decoder, ``(32, width)``.
        speaker: The voice's embedding for the vocoder, ``(speaker width, 1)``.
        sampling: Sampling settings.
        speed: Rate relative to the voice's own.
        token_samples: Number of samples per token, at that rate.
        checked: Whether to check it for defects, and to end it early if it has one.
        retries: Maximum number of retries; 0 with a requested seed, since whether a retry is still possible
            depends on timing, and the result must not.
        emit: Receives PCM and finally the outcome; called from any thread.
        abandoned: Whether the result is no longer wanted.
        awaited: Whether the client waits for the audio. Until then it is held back, so that the sentence can
            still be retried.
    """

    text: str
    tokens: Sequence[int]
    voice: str
    latents: Tensor
    speaker: Tensor
    sampling: Sampling
    speed: float
    token_samples: float
    checked: bool
    retries: int
    emit: Callable[[Pcm | Outcome], None]
    abandoned: Callable[[], bool]
    awaited: Callable[[], bool]
    takes: list[Take] = field(default_factory=list[Take])
    emitted: int = 0
    settled: bool = False
    number: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Lock of the sentence and its takes. To hold the queues' lock, too, acquire that first."""

    @property
    def take(self) -> Take | None:
        """The current take."""
        with self.lock:
            return self.takes[-1] if self.takes else None

    @property
    def open(self) -> bool:
        """Whether the sentence has no outcome yet and is not abandoned."""
        return not self.settled and not self.abandoned()

    def flush(self) -> None:
        """Emit the rendered audio, if the client waits for it."""
        with self.lock:
            take = self.take
            if self.settled or take is None or take.state is TakeState.ASIDE or not self.awaited():
                return
            self._hand_out(take.pcm[: self._limit(take)])

    def replace(self, take: Take) -> bool:
        """Set ``take`` aside for a retry; false if none is possible, for example after audio was emitted."""
        with self.lock:
            if self.settled or self.emitted or not take.complete or len(self.takes) > self.retries:
                return False
            take.become(TakeState.ASIDE)
            return True

    def choose(self, take: Take) -> Take | None:
        """Choose the take with the least severe defects, and make it the current one.

        Returns:
            The chosen take; ``None`` if ``take`` is no longer the current one, and another thread continues.
        """
        with self.lock:
            if self.settled or take is not self.take or not take.complete:
                return None
            if self.emitted:
                return take
            best = min(reversed(self.takes), key=lambda each: each.verdict.badness)
            if best is not take:
                take.become(TakeState.ASIDE)
                best.become(TakeState.DECODED)
                self.takes.remove(best)
                self.takes.append(best)
            return best

    def restart(self) -> None:
        """Discard the current take, but not the count of emitted samples: the next take is the same."""
        with self.lock:
            if self.takes:
                self.takes.pop().become(TakeState.CLOSED)

    def close(self, take: Take) -> None:
        """Emit the rest of the best take, and the outcome."""
        with self.lock:
            if self.settled or take.state is not TakeState.RENDERED:
                return
            limit = self._limit(take)
            pcm = take.pcm[:limit]
            if limit < len(take.pcm):
                pcm = _faded(pcm, self.emitted, round(FADE_TOKENS * self.token_samples))
            self._hand_out(pcm)
            verdict = take.verdict
            self._settle(
                Speech(
                    pcm=np.empty(0, np.int16),
                    finish_reason=verdict.finish_reason,
                    findings=tuple(finding.value for finding in verdict.findings),
                    retries=len(self.takes) - 1,
                )
            )

    def fail(self, error: EngineError) -> None:
        """End the sentence with an error, unless it has an outcome."""
        with self.lock:
            if not self.settled:
                self._settle(error)

    def _settle(self, outcome: Outcome) -> None:
        self.settled = True
        for take in self.takes:
            take.become(TakeState.CLOSED)
        self.emit(outcome)

    def _limit(self, take: Take) -> int:
        """Return the number of samples to keep, at least those already emitted."""
        if take.state is TakeState.DECODING or take.verdict.finish_reason in {"stop", "length"}:
            return take.samples
        return max(self.emitted, round(take.verdict.keep * self.token_samples))

    def _hand_out(self, pcm: Pcm) -> None:
        if len(pcm) > self.emitted:
            piece = pcm[self.emitted :]
            self.emitted = len(pcm)
            self.emit(piece)


def to_pcm(samples: Tensor) -> Pcm:
    """Convert float32 samples from -1 to 1 to :data:`engines.contract.Pcm`."""
    scaled = (samples.float().nan_to_num(0.0) * 32_767.0).round().clamp(-32_768, 32_767)
    array: npt.NDArray[np.int16] = scaled.to(torch.int16).cpu().numpy()
    return array


def _faded(pcm: Pcm, heard: int, length: int) -> Pcm:
    """Fade out the end of ``pcm``, except for the first ``heard`` samples, which were emitted."""
    length = min(length, len(pcm) - heard)
    if length <= 0:
        return pcm
    faded = pcm.copy()
    faded[-length:] = (faded[-length:] * np.linspace(1.0, 0.0, length)).astype(np.int16)
    return faded
