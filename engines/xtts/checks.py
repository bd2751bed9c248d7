"""Detection of defects in a sentence, during and after its decoding.

XTTS samples its audio tokens, and sometimes misses the end, repeats itself in a loop, or stops at once. For
each sentence::

    watch = Watch(text)
    while ...:
        if watch.feed(token) is not None:
            break                                 # an unrecoverable defect
    verdict = watch.verdict()                     # the first ``verdict.keep`` tokens are usable
    verdict = verdict.heard(listen(pcm, 24_000))  # defects that only the samples show
    if verdict.findings:
        again = safer(settings, 1, verdict.findings, watch.least)

Needs only numpy. Each threshold documents its basis; none was tuned on the tokens of real weights.
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
"""Audio tokens per second: each stands for 1024 samples at 22.05 kHz."""

MAX_TOKENS: Final = 602
"""Maximum number of audio tokens per sentence: the positions that XTTS-v2 was trained with (28.0 s)."""

LONGEST_PATTERN: Final = 86
"""Length of the longest pattern that is detected, in tokens: 4 s, a short sentence."""

LOOP: Final = 43
"""Number of consecutive tokens, each equal to the one a pattern earlier, that make a loop: 2 s.

The longest pause of a human reader was 0.47 s and a vowel can be held for a second, so that long sounds are
not detected; and a repeated word is not sampled as the same tokens for that long. With the spectra of real
and synthetic speech clustered into 16 classes in place of tokens, at most 16 repeated.
"""

WANDERING: Final = 86
"""Number of last tokens that are searched for an inexact loop: 4 s."""

FEWEST: Final = 6
"""Minimum number of distinct tokens among the last :data:`WANDERING` of speech.

Four seconds of speech have some fifty phones. With the spectra of real speech clustered into only 16 classes,
at least 13 of them occurred; with 64 classes, at least 33.
"""


class Watch:
    """Watches the audio tokens of one sentence, in constant time per token (some 10 µs).

    Args:
        text: The model's input. Its script determines how fast it can be spoken.
        limit: Maximum number of tokens that the model may generate.
    """

    def __init__(self, text: str, limit: int = MAX_TOKENS) -> None:
        bounds = pace(text)
        self._least = int(bounds.least * TOKENS_PER_SECOND)
        self._most = min(round(bounds.most * TOKENS_PER_SECOND), limit)
        self._limit = limit
        # A repetitive text may sound repetitive.
        self._repeats = round(bounds.repeats * TOKENS_PER_SECOND)
        self._tokens = np.full(limit + LONGEST_PATTERN, -1, np.int64)
        self._matches = np.zeros(LONGEST_PATTERN, np.int64)
        self._counts: dict[int, int] = {}
        self._length = 0
        self._keep: int | None = None
        self._ending: SpeechFinding | None = None

    @property
    def length(self) -> int:
        """Number of tokens so far."""
        return self._length

    @property
    def least(self) -> int:
        """Number of tokens that a fast reader needs for the text."""
        return self._least

    @property
    def most(self) -> int:
        """Number of tokens that a slow reader needs for the text, at most the limit."""
        return self._most

    def feed(self, token: int) -> SpeechFinding | None:
        """Add the next audio token; do not pass the stop token.

        Returns:
            The reason to stop decoding; ``None`` to continue.
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
        """Return the verdict after the last token."""
        findings = () if self._ending is None else (self._ending,)
        if self._length < self._least:
            findings = (*findings, SpeechFinding.EARLY_STOP)
        return Verdict(findings=findings, keep=self._length if self._keep is None else self._keep)

    def _count(self, token: int) -> None:
        """Update the counts of the last :data:`WANDERING` tokens."""
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
        findings: The sentence's defects, each once.
        keep: Number of tokens to keep, from the start. Of a loop, the pattern is kept once; of a runaway, as
            much as a slow reader needs, since tokens do not show where the text ended.
    """

    findings: tuple[SpeechFinding, ...] = ()
    keep: int = 0

    def heard(self, sound: Sound) -> "Verdict":
        """Return the verdict with the findings from the samples added."""
        return replace(self, findings=tuple(dict.fromkeys((*self.findings, *sound.findings))))

    @property
    def finish_reason(self) -> str:
        """Value for ``Speech.finish_reason``: ``stop`` if the model ended it, else why it was ended."""
        return next((finding.value for finding in reversed(ENDINGS) if finding in self.findings), "stop")

    @property
    def badness(self) -> int:
        """Total severity; 0 without findings. Of two tries, the lower one is better."""
        return badness(self.findings)


class _Sampling(Protocol):
    """A data class with the fields that :func:`safer` changes."""

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
"""Minimum temperature and ``top_p`` of a retry: lower is nearly greedy, and loops."""


def safer(
    settings: SamplingT, attempt: int, findings: Collection[SpeechFinding] = (), least: int = 0
) -> SamplingT:
    """Return the settings of a retry. They are deterministic, so that a seeded request stays repeatable.

    Greedy decoding ignores the seed, so its retry samples: repeatably, at a low temperature.

    Args:
        settings: Settings of the first try, such as :class:`engines.xtts.sampling.Sampling`.
        attempt: 0 for the first try, 1 for its first retry.
        findings: Defects of the previous try. After a loop, only the seed changes, not the temperature; after
            an early stop, the retry may not stop before ``least``.
        least: Number of tokens that a fast reader needs; see :attr:`Watch.least`.
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
    """Derive a statistically independent seed; not negative, 63 bits."""
    digest = hashlib.blake2b(f"{seed}/{attempt}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
