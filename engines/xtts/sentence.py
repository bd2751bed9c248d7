"""One utterance on its way from tokens to PCM, and the tries it takes."""

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
"""Tokens over which speech that is cut off fades out: 10 ms at the voice's own rate."""

TOGETHER: Final = 4
"""Latents that are passed on at once: 0.19 s, so that the vocoder is not woken by every token."""


class TakeState(Enum):
    """How far a take has come.

    ::

        DECODING ──▶ DECODED ──▶ RENDERED
                      │  ▲           │
                      ▼  │           │
                      ASIDE ◀────────┘

        any of them ──▶ CLOSED
    """

    DECODING = auto()
    """More latents will come; what has come is rendered."""
    DECODED = auto()
    """All latents are there, and the rest of them is rendered."""
    RENDERED = auto()
    """All samples are there, and can be judged."""
    ASIDE = auto()
    """Another take is made or preferred. This one may still turn out to be the better, and goes on then."""
    CLOSED = auto()
    """Nothing more is made of it: the sentence has its outcome, or begins again."""


_NEXT: Final = {
    TakeState.DECODING: {TakeState.DECODED, TakeState.CLOSED},
    TakeState.DECODED: {TakeState.RENDERED, TakeState.ASIDE, TakeState.CLOSED},
    TakeState.RENDERED: {TakeState.ASIDE, TakeState.CLOSED},
    TakeState.ASIDE: {TakeState.DECODED, TakeState.CLOSED},
    TakeState.CLOSED: {TakeState.CLOSED},
}


class Take:
    """One try at a sentence: its latents become PCM as they are decoded.

    One thread decodes and adds to it, one at a time renders.

    Args:
        sampling: How its tokens are chosen.
        stream: Takes the latents.
        lock: The sentence's. All that changes here changes under it.
    """

    def __init__(self, sampling: Sampling, stream: LatentStream, lock: threading.RLock) -> None:
        self.sampling = sampling
        self.stream = stream
        self._lock = lock
        self._state = TakeState.DECODING
        self.broken = False
        """Whether some samples were no numbers."""
        self.least = 0
        """Tokens without which the text cannot have been said, as far as it is known."""
        self.verdict = Verdict()
        self._waiting: list[Tensor] = []
        self._pcm: list[Pcm] = []
        self.samples = 0

    @property
    def state(self) -> TakeState:
        """How far it has come."""
        return self._state

    @property
    def wanted(self) -> bool:
        """Whether what there is of it should be rendered."""
        return self._state in {TakeState.DECODING, TakeState.DECODED}

    @property
    def complete(self) -> bool:
        """Whether it has all its latents, and goes on."""
        return self._state in {TakeState.DECODED, TakeState.RENDERED}

    def become(self, state: TakeState) -> None:
        """Go on to another state.

        Raises:
            ValueError: It cannot follow the present one.
        """
        with self._lock:
            if state not in _NEXT[self._state]:
                raise ValueError(f"a take that is {self._state.name} cannot become {state.name}")
            self._state = state

    def add(self, latent: Tensor) -> bool:
        """Take the next latent ``(width,)``; whether some were passed on."""
        self._waiting.append(latent)
        if len(self._waiting) < TOGETHER:
            return False
        self._pass_on()
        return True

    def end(self, verdict: Verdict) -> None:
        """There are no more latents."""
        self.verdict = verdict
        if self._waiting:
            self._pass_on()
        with self._lock:
            self.stream.finish()
            if self._state is TakeState.DECODING:
                self.become(TakeState.DECODED)

    def next_window(self) -> LatentWindow | None:
        """What to render next; ``None`` while there is not enough, and when nothing more is wanted of it."""
        with self._lock:
            return self.stream.next_window() if self.wanted else None

    def finish(self) -> bool:
        """Whether its last window was rendered just now. True once, until it is taken up again."""
        with self._lock:
            if self._state is not TakeState.DECODED or not self.stream.done:
                return False
            self.become(TakeState.RENDERED)
            return True

    def rendered(self, samples: Tensor) -> None:
        """Take the samples of the next window, float32 within -1 and 1."""
        broken = not bool(samples.isfinite().all())
        pcm = to_pcm(samples)
        with self._lock:
            self.broken = self.broken or broken
            self._pcm.append(pcm)
            self.samples += len(pcm)

    @property
    def pcm(self) -> Pcm:
        """What is rendered."""
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
    """An utterance that is being spoken.

    Attributes:
        text: What is said, for the checks.
        tokens: Its tokens.
        voice: Id of its voice.
        latents: The voice for the decoder, ``(32, width)``.
        speaker: The voice for the vocoder, ``(speaker width, 1)``.
        sampling: How its tokens are chosen.
        speed: Rate.
        token_samples: Samples that a token lasts, at that rate.
        checked: Whether it is judged, and ended when it goes wrong.
        retries: How often it may be said again. None for who gave a seed: whether anybody has heard it yet
            depends on the time, and must not decide on what is said.
        emit: Takes PCM and then the outcome; called from any thread.
        abandoned: Whether nobody wants it any more.
        awaited: Whether somebody waits for its audio. While nobody does, it is held back: what nobody has
            heard can be said again.
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
    """Of the sentence and its takes. Whoever needs that of the queues too takes theirs first."""

    @property
    def take(self) -> Take | None:
        """The present try."""
        with self.lock:
            return self.takes[-1] if self.takes else None

    @property
    def open(self) -> bool:
        """Whether there is still anything to do for it."""
        return not self.settled and not self.abandoned()

    def flush(self) -> None:
        """Hand out what is rendered, if somebody waits for it."""
        with self.lock:
            take = self.take
            if self.settled or take is None or take.state is TakeState.ASIDE or not self.awaited():
                return
            self._hand_out(take.pcm[: self._limit(take)])

    def replace(self, take: Take) -> bool:
        """Whether another take may be made in place of ``take``: nothing of it may be heard from then on."""
        with self.lock:
            if self.settled or self.emitted or not take.complete or len(self.takes) > self.retries:
                return False
            take.become(TakeState.ASIDE)
            return True

    def choose(self, take: Take) -> Take | None:
        """The take with the least wrong of those that there are, to go on with.

        Returns:
            ``None`` if ``take`` is no longer the present one: whoever set it aside goes on with another.
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
        """Forget the present try, but not what was heard of it: the next one says the same."""
        with self.lock:
            if self.takes:
                self.takes.pop().become(TakeState.CLOSED)

    def close(self, take: Take) -> None:
        """Hand out the rest of the best take, and the outcome."""
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
        """It could not be spoken."""
        with self.lock:
            if not self.settled:
                self._settle(error)

    def _settle(self, outcome: Outcome) -> None:
        self.settled = True
        for take in self.takes:
            take.become(TakeState.CLOSED)
        self.emit(outcome)

    def _limit(self, take: Take) -> int:
        """Samples that are worth hearing, and those that were heard already."""
        if take.state is TakeState.DECODING or take.verdict.finish_reason in {"stop", "length"}:
            return take.samples
        return max(self.emitted, round(take.verdict.keep * self.token_samples))

    def _hand_out(self, pcm: Pcm) -> None:
        if len(pcm) > self.emitted:
            piece = pcm[self.emitted :]
            self.emitted = len(pcm)
            self.emit(piece)


def to_pcm(samples: Tensor) -> Pcm:
    """Float32 samples within -1 and 1 as :data:`engines.contract.Pcm`."""
    scaled = (samples.float().nan_to_num(0.0) * 32_767.0).round().clamp(-32_768, 32_767)
    array: npt.NDArray[np.int16] = scaled.to(torch.int16).cpu().numpy()
    return array


def _faded(pcm: Pcm, heard: int, length: int) -> Pcm:
    """``pcm`` with its end faded out, as far as it was not heard."""
    length = min(length, len(pcm) - heard)
    if length <= 0:
        return pcm
    faded = pcm.copy()
    faded[-length:] = (faded[-length:] * np.linspace(1.0, 0.0, length)).astype(np.int16)
    return faded
