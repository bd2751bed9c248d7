"""The interface between the server and its engines.

An engine is any object with the members of :class:`EngineAdapter` and one of ``synthesize``
(:class:`SynthesizingEngine`) and ``stream`` (:class:`StreamingEngine`); plug-ins need not import this module.
Callers use :func:`stream` or :func:`synthesize`, which work with either kind. The other protocols are
optional. An engine turns text into PCM::

    Utterance ──▶ stream(engine, …) ──▶ PCM …, Outcome (Speech | EngineError)

Exceptions::

    EngineError              base class; has a code
    ├── UnsupportedUtterance the engine cannot speak the utterance (voice, language, text)
    ├── EngineUnavailable    the engine failed and may recover (crash, load failure)
    │   └── LicenseNotAccepted   the operator has to accept the licence first
    ├── EngineOverloaded     the queue is full
    └── Abandoned            the caller disconnected, so no one reads this
"""

from collections.abc import AsyncGenerator, Callable, Hashable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, fields, replace
from typing import Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

Pcm: TypeAlias = npt.NDArray[np.int16]
"""Mono PCM, shape ``(samples,)``, signed 16-bit, at the engine's ``sample_rate``."""


class EngineError(Exception):
    """Base class of the errors of engines.

    Args:
        message: Description for the user who sent the text.
        param: The request field that causes the error, if any.
    """

    code = "engine_error"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class UnsupportedUtterance(EngineError):  # noqa: N818 - named for the cause, as the HTTP layer shows it
    """The engine works, but cannot speak this voice, language or text."""

    code = "unsupported_utterance"


class EngineUnavailable(EngineError):  # noqa: N818 - as above
    """The engine is broken, could not be loaded, or failed while speaking.

    Args:
        message: Description of the failure.
        retry_after: Seconds after which a retry may succeed.
    """

    code = "engine_unavailable"

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LicenseNotAccepted(EngineUnavailable):
    """The engine's licence restricts its use, and the operator has not accepted it. Retries do not help.

    Args:
        message: The licence to accept, and how.
        retry_after: Seconds after which to retry; long, since only the operator can change it.
    """

    code = "license_not_accepted"

    def __init__(self, message: str, *, retry_after: float = 3_600.0) -> None:
        super().__init__(message, retry_after=retry_after)


class EngineOverloaded(EngineError):  # noqa: N818 - as above
    """The engine's queue is full.

    Args:
        message: Description of the full queue.
        retry_after: Seconds after which a place is likely to be free.
    """

    code = "engine_overloaded"

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Abandoned(EngineError):  # noqa: N818 - as above
    """The caller disconnected before or while the utterance was spoken."""

    code = "abandoned"


def _never() -> bool:
    return False


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceEmbeddingRef:
    """A prepared voice: named arrays for one model of an engine; can be stored as safetensors.

    Attributes:
        engine: Configured name of the engine that prepared it.
        model: Model and version that it was prepared for; see ``CloningEngine.voice_model``.
        tensors: Arrays by name.
    """

    engine: str
    model: str
    tensors: dict[str, npt.NDArray[np.float32]]

    @property
    def nbytes(self) -> int:
        """Total size of the arrays in bytes."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One sentence to speak.

    Attributes:
        text: Plain text, normalised for speech; never markup.
        voice: ID or alias of one of the engine's voices. With ``prepared``, that voice's ID, which is never
            reused, so that engines may cache data derived from it.
        language: BCP-47 tag of the text, for example ``en`` or ``hi``; multilingual voices speak it.
        speed: Rate relative to the voice's own, within the engine's ``speed_range``.
        timings: Whether the caller wants word timings.
        seed: Seed that makes a sampling engine repeatable; ``None`` for a random one.
        prepared: The voice, if it was prepared from recordings; only for engines that clone.
        abandoned: Polled by the engine while it works; true once the result is not wanted any more.
        awaited: Polled by the engine; true once the caller waits for this utterance's audio, rather than for
            that of earlier ones. Until then, the engine may hold audio back, and repeat a faulty utterance.
    """

    text: str
    voice: str
    language: str
    speed: float = 1.0
    timings: bool = False
    seed: int | None = None
    prepared: VoiceEmbeddingRef | None = field(default=None, compare=False, repr=False)
    abandoned: Callable[[], bool] = field(default=_never, compare=False, repr=False)
    awaited: Callable[[], bool] = field(default=_always, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class WordTiming:
    """The time of a word in an utterance's audio, and its place in the text.

    Attributes:
        word: The word as it was spoken.
        start: Start in seconds from the start of the utterance.
        end: End in seconds from the start of the utterance.
        offset: Index of the word's first character in ``Utterance.text``.
    """

    word: str
    start: float
    end: float
    offset: int


FINISH_REASONS: Final = ("stop", "length", "repetition", "runaway")
"""Reasons why an utterance ended, best first; plug-ins may have others.

In order: it was complete; it reached the engine's limit; it was ended because it repeated itself, or because
it was longer than its text can take.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """A spoken utterance.

    Attributes:
        pcm: The samples, see :data:`Pcm`; empty if they have been streamed.
        words: Word timings, if they were requested and the engine supports them.
        finish_reason: ``stop``, or the reason why the engine ended early, see :data:`FINISH_REASONS`.
        findings: Faults that the engine found, as identifiers in snake case such as ``early_stop``.
        retries: Number of times that the engine started again because of its findings.
    """

    pcm: Pcm
    words: tuple[WordTiming, ...] = ()
    finish_reason: str = "stop"
    findings: tuple[str, ...] = ()
    retries: int = 0


Outcome: TypeAlias = Speech | EngineError
"""Result of one utterance. An error applies to this utterance, not to the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A voice of an engine.

    Attributes:
        id: ID for requests; unique in the engine.
        name: Display name.
        languages: BCP-47 tags of its languages, its native one first. Empty: all of the engine's.
        gender: ``female``, ``male`` or ``neutral``, if known.
        aliases: Other IDs of this voice.
    """

    id: str
    name: str
    languages: tuple[str, ...] = ()
    gender: str | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The capabilities of an engine, so that callers need not know which engine it is.

    :meth:`Abilities.of` adds those that depend on the engine's methods.

    Attributes:
        word_timings: Whether the engine reports word timings.
        speed_range: Slowest and fastest ``Utterance.speed`` that it renders itself, at unchanged pitch.
        max_chars: Maximum length of ``Utterance.text`` in characters.
        max_chars_by_language: Exceptions to ``max_chars``, by primary language subtag (``hi``).
        deterministic: Whether the same utterance always gives the same samples.
        trimmed: Whether audio begins and ends with speech: callers that join utterances add the pauses.
        ipa: Whether it accepts words in IPA, which :mod:`engines.text.ipa` marks in ``Utterance.text``.
        slots: Number of concurrent utterances, each of which may start and end at any time; may change, for
            example on loading. 0: it works on batches, whose utterances start together.
    """

    word_timings: bool = False
    speed_range: tuple[float, float] = (1.0, 1.0)
    max_chars: int = 400
    max_chars_by_language: Mapping[str, int] = field(default_factory=dict[str, int], hash=False)
    deterministic: bool = False
    ipa: bool = False
    trimmed: bool = False
    slots: int = 0

    def max_chars_in(self, language: str) -> int:
        """Return the maximum length of ``Utterance.text`` in a language, given its BCP-47 tag."""
        return self.max_chars_by_language.get(language.partition("-")[0].lower(), self.max_chars)


@runtime_checkable
class EngineAdapter(Protocol):
    """The members of every engine, in addition to ``synthesize`` or ``stream``.

    Construction is cheap and loads nothing; the properties and ``voices`` work before ``load``. ``load`` and
    ``close`` alternate, any number of times.
    """

    @property
    def name(self) -> str:
        """The configured name."""
        ...

    @property
    def sample_rate(self) -> int:
        """Sample rate of the PCM in hertz."""
        ...

    @property
    def languages(self) -> Sequence[str]:
        """BCP-47 tags of the supported languages."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """The engine's capabilities; may change."""
        ...

    @property
    def license(self) -> str:
        """SPDX identifier or name of the licence of the engine or its weights."""
        ...

    def voices(self) -> Sequence[Voice]:
        """Return the engine's voices, without loading anything."""
        ...

    async def load(self) -> None:
        """Load the engine.

        Raises:
            EngineUnavailable: A dependency or file is missing or broken; the message says which.
        """
        ...

    async def close(self) -> None:
        """Release all resources: processes, memory, devices. Never raises; further calls do nothing."""
        ...

    def batch_key(self, utterance: Utterance) -> Hashable:
        """Return a key; utterances with equal keys can share a batch."""
        ...


@runtime_checkable
class SynthesizingEngine(EngineAdapter, Protocol):
    """An engine that returns an utterance once it is completely spoken."""

    async def synthesize(self, batch: Sequence[Utterance]) -> Sequence[Outcome]:
        """Speak a batch; return one outcome per utterance, in order.

        Cancelling the call stops the engine's work on the batch.
        """
        ...


Streamed: TypeAlias = tuple[int, Pcm | Outcome]
"""Index in the batch, and the next PCM of that utterance or its final outcome."""


@runtime_checkable
class StreamingEngine(EngineAdapter, Protocol):
    """An engine that yields PCM while it is still generating."""

    def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
        """Speak a batch; the PCM of an utterance is in order, but utterances may interleave.

        Each utterance ends with exactly one outcome; on success, its own ``pcm`` is empty.
        Closing the generator stops the engine's work on the batch.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceSample:
    """A recording to clone a voice from.

    Attributes:
        pcm: The samples, see :data:`Pcm`.
        sample_rate: Sample rate in hertz.
        transcript: Text of the recording, if known.
        language: BCP-47 tag of its language, if known.
    """

    pcm: Pcm
    sample_rate: int
    transcript: str | None = None
    language: str | None = None


@runtime_checkable
class CloningEngine(EngineAdapter, Protocol):
    """An engine that can prepare voices from recordings, and speak utterances with a ``prepared`` voice."""

    @property
    def voice_model(self) -> str:
        """Model and version of prepared voices; when it changes, voices are prepared again.

        Available without loading. The engine rejects voices prepared for another model.
        """
        ...

    async def prepare_voice(self, samples: Sequence[ReferenceSample]) -> VoiceEmbeddingRef:
        """Prepare a voice from recordings; the engine is loaded.

        Must not block the event loop, or delay other callers' speech, for long.

        Raises:
            UnsupportedUtterance: The samples cannot be used; the message says why.
        """
        ...


@runtime_checkable
class Forgetful(Protocol):
    """An engine that caches data derived from prepared voices."""

    def forget_voice(self, voice: str, /) -> None:
        """Discard data derived from a prepared voice; does nothing if the ID is unknown."""
        ...


@runtime_checkable
class Licensed(Protocol):
    """An engine whose licence restricts its use; it is loaded only if the operator accepts ``license``."""

    @property
    def license_notice(self) -> str:
        """The licence's restriction in a sentence; empty if nothing has to be accepted."""
        ...


@runtime_checkable
class Fetched(Protocol):
    """An engine whose weights have to be downloaded before it can speak."""

    @property
    def missing(self) -> str | None:
        """The missing files and how to get them, in a sentence; ``None`` if all are present.

        Called often: checks the disk only, loads nothing, and never raises.
        """
        ...


@runtime_checkable
class WarmingUp(Protocol):
    """An engine whose first utterance is slow: it is warmed up after each load, before it is used."""

    async def warm_up(self) -> None:
        """Do the work that makes the first utterance slow; the engine is loaded.

        Raises:
            EngineUnavailable: The engine cannot speak; the load counts as failed.
        """
        ...


@runtime_checkable
class Weighed(Protocol):
    """An engine that can estimate its use of main memory before it is loaded."""

    @property
    def memory_needed(self) -> int:
        """Estimated main memory in bytes, including child processes."""
        ...


@runtime_checkable
class WeighedOnGpu(Protocol):
    """An engine that can estimate its use of GPU memory before it is loaded."""

    @property
    def vram_needed(self) -> int:
        """Estimated GPU memory in bytes; 0 if it uses another device."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities(Capabilities):
    """The capabilities that an engine declares, and those that depend on its methods.

    Attributes:
        cloning: Whether it is a :class:`CloningEngine`.
        streaming: Whether it is a :class:`StreamingEngine`.
    """

    cloning: bool = False
    streaming: bool = False

    @classmethod
    def of(cls, engine: EngineAdapter) -> "Abilities":
        """Return the abilities of an engine."""
        said = engine.capabilities
        return cls(
            **{each.name: getattr(said, each.name) for each in fields(Capabilities)},
            cloning=isinstance(engine, CloningEngine),
            streaming=isinstance(engine, StreamingEngine),
        )


def stream(engine: EngineAdapter, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
    """Speak a batch like :meth:`StreamingEngine.stream`, except that outcomes may contain PCM.

    Raises:
        TypeError: The engine has neither ``stream`` nor ``synthesize``.
    """
    if isinstance(engine, StreamingEngine):
        return engine.stream(batch)
    if isinstance(engine, SynthesizingEngine):
        return _at_once(engine, batch)
    raise TypeError(f"The engine {engine.name} has neither stream nor synthesize.")


async def _at_once(engine: SynthesizingEngine, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
    outcomes = await engine.synthesize(batch)
    for index, outcome in zip(range(len(batch)), outcomes, strict=True):
        yield index, outcome


async def synthesize(engine: EngineAdapter, batch: Sequence[Utterance]) -> list[Outcome]:
    """Speak a batch; return one outcome per utterance, in order, with its complete PCM.

    Cancelling the call stops the engine's work on the batch.
    """
    async with aclosing(stream(engine, batch)) as items:
        return await collect(items, len(batch))


async def collect(items: AsyncGenerator[Streamed, None], count: int) -> list[Outcome]:
    """Join the items of :func:`stream` into one outcome for each of ``count`` utterances."""
    parts: list[list[Pcm]] = [[] for _ in range(count)]
    outcomes: list[Outcome] = [EngineUnavailable("The engine ended without a result.")] * count
    async for index, item in items:
        if isinstance(item, Speech):
            outcomes[index] = replace(item, pcm=np.concatenate([*parts[index], item.pcm]))
        elif isinstance(item, EngineError):
            outcomes[index] = item
        else:
            parts[index].append(item)
    return outcomes
