"""One utterance on its way from tokens to PCM, and the tries it takes."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.contract import EngineError, Outcome, Pcm, Speech
from engines.xtts.checks import Verdict
from engines.xtts.latents import LatentStream
from engines.xtts.sampling import Sampling

FADE: Final = 0.01
"""Seconds over which speech that is cut off fades out."""

TOGETHER: Final = 4
"""Latents that are passed on at once: 0.19 s, so that the vocoder is not woken by every token."""


class Take:
    """One try at a sentence: its latents become PCM as they are decoded.

    One thread decodes and adds to it, one at a time renders.

    Args:
        sampling: How its tokens are chosen.
        stream: Takes the latents.
    """

    def __init__(self, sampling: Sampling, stream: LatentStream) -> None:
        self.sampling = sampling
        self.stream = stream
        self.lock = threading.Lock()
        self.rendering = False
        """Whether a renderer has it, or it is queued for one."""
        self.decoded = False
        self.given_up = False
        """Another take is better, or nobody wants the sentence."""
        self.replaced = False
        """Another take is being made; this one may still turn out to be the better."""
        self.broken = False
        """Whether some samples were no numbers."""
        self.least = 0
        """Tokens without which the text cannot have been said, as far as it is known."""
        self.verdict = Verdict()
        self._waiting: list[Tensor] = []
        self._pcm: list[Pcm] = []
        self.samples = 0

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
        with self.lock:
            self.stream.finish()
            self.decoded = True

    def rendered(self, samples: Tensor) -> None:
        """Take the samples of the next window, float32 within -1 and 1."""
        broken = not bool(samples.isfinite().all())
        pcm = to_pcm(samples)
        with self.lock:
            self.broken = self.broken or broken
            self._pcm.append(pcm)
            self.samples += len(pcm)

    @property
    def pcm(self) -> Pcm:
        """What is rendered."""
        with self.lock:
            if len(self._pcm) != 1:
                self._pcm = [np.concatenate(self._pcm) if self._pcm else np.empty(0, np.int16)]
            return self._pcm[0]

    def _pass_on(self) -> None:
        together = torch.stack(self._waiting)
        self._waiting.clear()
        with self.lock:
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
    _lock: Any = field(default_factory=threading.RLock)

    @property
    def take(self) -> Take | None:
        """The present try."""
        with self._lock:
            return self.takes[-1] if self.takes else None

    @property
    def open(self) -> bool:
        """Whether there is still anything to do for it."""
        return not self.settled and not self.abandoned()

    def flush(self) -> None:
        """Hand out what is rendered, if somebody waits for it."""
        with self._lock:
            take = self.take
            if self.settled or take is None or take.replaced or not self.awaited():
                return
            self._hand_out(take.pcm[: self._limit(take)])

    def replace(self, take: Take) -> bool:
        """Whether another take may be made in place of ``take``: nothing of it may be heard from then on."""
        with self._lock:
            if self.settled or self.emitted or take.replaced or len(self.takes) > self.retries:
                return False
            take.replaced = True
            return True

    def choose(self, take: Take) -> Take:
        """The take with the least wrong of those that there are, to go on with; ``take`` is the newest."""
        with self._lock:
            if self.emitted:
                return take
            best = min(reversed(self.takes), key=lambda each: each.verdict.badness)
            if best is not take:
                take.given_up = True
                best.replaced = False
                self.takes.remove(best)
                self.takes.append(best)
            return best

    def restart(self) -> None:
        """Forget the present try, but not what was heard of it: the next one says the same."""
        with self._lock:
            if self.takes:
                self.takes.pop().given_up = True

    def close(self, take: Take) -> None:
        """Hand out the rest of the best take, and the outcome."""
        with self._lock:
            if self.settled:
                return
            limit = self._limit(take)
            pcm = take.pcm[:limit]
            if limit < len(take.pcm):
                pcm = _faded(pcm, self.emitted, round(FADE * self.token_samples * 21.5))
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
        with self._lock:
            if not self.settled:
                self._settle(error)

    def _settle(self, outcome: Outcome) -> None:
        self.settled = True
        for take in self.takes:
            take.given_up = True
        self.emit(outcome)

    def _limit(self, take: Take) -> int:
        """Samples that are worth hearing, and those that were heard already."""
        if not take.decoded or take.verdict.finish_reason in {"stop", "length"}:
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
