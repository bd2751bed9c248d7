"""Monitors a sentence while it is decoded, and judges it at its end.

XTTS samples its audio tokens, and sometimes misses the end, repeats itself in a loop, or stops at once. For
each sentence::

    watch = Watch(text)
    while ...:
        if watch.feed(token) is not None:
            break                                 # a fault that will not get better
    verdict = watch.verdict()                     # the first ``verdict.keep`` tokens are worth hearing
    verdict = verdict.heard(listen(pcm, 24_000))  # what only the samples show
    if verdict.findings:
        again = safer(settings, 1, verdict.findings, watch.least)

Only numpy is needed here. What the thresholds rest on stands with each; none was tuned on the tokens of real
weights.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Protocol, TypeVar

import numpy as np

from engines.xtts.findings import ENDINGS, SpeechFinding, badness
from engines.xtts.pace import pace
from engines.xtts.sound import Sound

TOKENS_PER_SECOND: Final = 22_050 / 1024
"""Audio tokens of a second: each stands for 1024 samples at 22.05 kHz."""

MAX_TOKENS: Final = 602
"""Audio tokens of one sentence, at most: the positions that XTTS-v2 was trained with (28.0 s)."""

LONGEST_PATTERN: Final = 86
"""Longest pattern that is detected, in tokens: 4 s, the length of a short sentence."""

LOOP: Final = 43
"""Tokens that repeat what came one pattern earlier, each the very same, before it is a loop: 2 s. The longest
pause of a human reader was 0.47 s and a vowel can be held for a second, so a sound that lasts may pass; and a
word that is said again is not sampled as the same tokens for so long. With the spectra of real and synthetic
speech sorted into 16 kinds, each in place of a token, no more than 16 repeated."""

WANDERING: Final = 86
"""Tokens that are looked back on for a loop which is not exact: 4 s."""

FEWEST: Final = 6
"""Different tokens among the last :data:`WANDERING` in anything that is still speech. Four seconds of it are
some fifty phones; with the spectra of real speech sorted into no more than 16 kinds, 13 of them were always
there, with 64 kinds 33."""


class Watch:
    """Watches the audio tokens of one sentence, each in constant time (some 10 µs).

    Args:
        text: The model's input. Its script decides how fast it can be spoken.
        limit: Tokens the model may give.
    """

    def __init__(self, text: str, limit: int = MAX_TOKENS) -> None:
        bounds = pace(text)
        self._least = int(bounds.least * TOKENS_PER_SECOND)
        self._most = min(round(bounds.most * TOKENS_PER_SECOND), limit)
        self._limit = limit
        # A text that repeats itself may sound like it.
        self._repeats = round(bounds.repeats * TOKENS_PER_SECOND)
        self._tokens = np.full(limit + LONGEST_PATTERN, -1, np.int64)
        self._matches = np.zeros(LONGEST_PATTERN, np.int64)
        self._counts: dict[int, int] = {}
        self._length = 0
        self._keep: int | None = None
        self._ending: SpeechFinding | None = None

    @property
    def length(self) -> int:
        """Tokens so far."""
        return self._length

    @property
    def least(self) -> int:
        """Tokens that a hurried reader needs for the text."""
        return self._least

    @property
    def most(self) -> int:
        """Tokens that a slow reader needs for the text; within the limit."""
        return self._most

    def feed(self, token: int) -> SpeechFinding | None:
        """The next audio token; the stop token is none.

        Returns:
            Why decoding must end here; ``None`` to continue.
        """
        if self._ending is not None:
            return self._ending
        at = self._length + LONGEST_PATTERN
        earlier = self._tokens[at - LONGEST_PATTERN : at][::-1]
        self._matches = np.where(earlier == token, self._matches + 1, 0)
        self._tokens[at] = token
        self._length += 1
        self._count(token)
        self._ending = self._loop() or self._too_long()
        return self._ending

    def verdict(self) -> "Verdict":
        """The verdict at the end of the tokens."""
        findings = () if self._ending is None else (self._ending,)
        if self._length < self._least:
            findings = (*findings, SpeechFinding.EARLY_STOP)
        return Verdict(findings=findings, keep=self._length if self._keep is None else self._keep)

    def _count(self, token: int) -> None:
        """Keep the counts of the last :data:`WANDERING` tokens."""
        self._counts[token] = self._counts.get(token, 0) + 1
        if self._length > WANDERING:
            gone = int(self._tokens[self._length + LONGEST_PATTERN - WANDERING - 1])
            self._counts[gone] -= 1
            if not self._counts[gone]:
                del self._counts[gone]

    def _loop(self) -> SpeechFinding | None:
        matches = int(self._matches.max())
        if matches >= LOOP + self._repeats:
            self._keep = self._length - matches + self._repeats
            return SpeechFinding.REPETITION
        if self._length >= WANDERING and len(self._counts) < FEWEST and not self._repeats:
            self._keep = self._length - WANDERING
            return SpeechFinding.REPETITION
        return None

    def _too_long(self) -> SpeechFinding | None:
        if self._length < self._most:
            return None
        return SpeechFinding.LENGTH if self._most == self._limit else SpeechFinding.RUNAWAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement of a sentence.

    Attributes:
        findings: Its defects, each once.
        keep: Number of tokens from the start to keep. After a loop, the pattern is kept once; after a
            runaway, what a slow reader needs, since tokens do not tell where the text ended.
    """

    findings: tuple[SpeechFinding, ...] = ()
    keep: int = 0

    def heard(self, sound: Sound) -> "Verdict":
        """The verdict, with findings from the samples."""
        return replace(self, findings=tuple(dict.fromkeys((*self.findings, *sound.findings))))

    @property
    def finish_reason(self) -> str:
        """``stop`` when the model ended it, else why it was ended; for ``Speech.finish_reason``."""
        return next((finding.value for finding in reversed(ENDINGS) if finding in self.findings), "stop")

    @property
    def badness(self) -> int:
        """0 without findings; of two tries, the lower one is better."""
        return badness(self.findings)


class _Sampling(Protocol):
    """A data class with what :func:`safer` changes."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def greedy(self) -> bool: ...
    @property
    def seed(self) -> int | None: ...
    @property
    def min_tokens(self) -> int: ...
    @property
    def temperature(self) -> float: ...
    @property
    def top_p(self) -> float: ...


SamplingT = TypeVar("SamplingT", bound=_Sampling)

CALMER: Final = 0.8
"""Factor of temperature and ``top_p`` in each retry: unlikely tokens cause most defects."""

CALMEST: Final = 0.3
"""The temperature, and ``top_p``, that a retry does not go below: less is nearly greedy, and loops."""


def safer(
    settings: SamplingT, attempt: int, findings: Collection[SpeechFinding] = (), least: int = 0
) -> SamplingT:
    """The settings of a retry; the same for the same request, so that a seeded one stays repeatable.

    A greedy decoder is independent of the seed: its retry samples, at a low temperature and repeatably.

    Args:
        settings: Of the first try, such as :class:`engines.xtts.sampling.Sampling`.
        attempt: 0 is the first try, 1 its first retry.
        findings: What was wrong before. What was caught in a loop is not made calmer, only seeded anew, and
            what stopped early may not stop before ``least``.
        least: Tokens of a hurried reader, see :attr:`Watch.least`.
    """
    if attempt <= 0:
        return settings
    if SpeechFinding.EARLY_STOP in findings:
        settings = replace(settings, min_tokens=max(settings.min_tokens, least))
    if settings.greedy:
        seed = _derived(settings.seed or 0, attempt)
        return replace(settings, greedy=False, seed=seed, temperature=CALMEST)
    seed = None if settings.seed is None else _derived(settings.seed, attempt)
    if SpeechFinding.REPETITION in findings:
        return replace(settings, seed=seed)
    calm = CALMER**attempt
    return replace(
        settings,
        seed=seed,
        temperature=_calmer(settings.temperature, calm),
        top_p=_calmer(settings.top_p, calm),
    )


def _calmer(value: float, calm: float) -> float:
    """``value`` times ``calm``, but not below :data:`CALMEST` unless it was already."""
    return min(value, max(CALMEST, value * calm))


def _derived(seed: int, attempt: int) -> int:
    """A seed derived from ``seed``, statistically independent of it; positive, in 63 bits."""
    digest = hashlib.blake2b(f"{seed}/{attempt}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
