"""The seam between the server and an engine.

An engine is any object with the members of :class:`EngineAdapter` and one of ``synthesize``
(:class:`SynthesizingEngine`) and ``stream`` (:class:`StreamingEngine`); plug-ins need not import this module
to be one. Who wants speech calls :func:`stream` or :func:`synthesize`, whichever the engine has. The other
protocols here are optional parts of an engine. A request is text until it is here and PCM after it::

    Utterance ──▶ stream(engine, …) ──▶ PCM …, Outcome (Speech | EngineError)

Exceptions::

    EngineError              anything an engine reports; carries a code
    ├── UnsupportedUtterance the utterance is at fault (voice, language, text)
    ├── EngineUnavailable    the engine is at fault and may recover (crash, load failure)
    │   └── LicenseNotAccepted   the operator has to accept the licence first
    ├── EngineOverloaded     no room in the queue
    └── Abandoned            the caller went away; nobody reads this
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
    """An engine could not do what was asked.

    Args:
        message: What happened, for the person who sent the text.
        param: The request field at fault, when there is one.
    """

    code = "engine_error"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class UnsupportedUtterance(EngineError):  # noqa: N818 - named for the cause, as the HTTP layer shows it
    """The engine works; this voice, language or text is not something it can speak."""

    code = "unsupported_utterance"


class EngineUnavailable(EngineError):  # noqa: N818 - as above
    """The engine is broken, loading failed, or it was lost while speaking.

    Args:
        message: What happened.
        retry_after: Seconds after which a retry may succeed.
    """

    code = "engine_unavailable"

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LicenseNotAccepted(EngineUnavailable):
    """The engine's licence restricts its use and the operator has not accepted it; waiting does not help.

    Args:
        message: What has to be accepted, and how.
        retry_after: Seconds; a formality, as only the operator can change it.
    """

    code = "license_not_accepted"

    def __init__(self, message: str, *, retry_after: float = 3_600.0) -> None:
        super().__init__(message, retry_after=retry_after)


class EngineOverloaded(EngineError):  # noqa: N818 - as above
    """The engine's queue is full.

    Args:
        message: What is full.
        retry_after: Seconds after which a place is likely.
    """

    code = "engine_overloaded"

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Abandoned(EngineError):  # noqa: N818 - as above
    """The caller went away before or while the utterance was spoken."""

    code = "abandoned"


def _never() -> bool:
    return False


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceEmbeddingRef:
    """A prepared voice: named arrays of one engine's model, ready to be stored as safetensors.

    Attributes:
        engine: The configured name of the engine that made it.
        model: Model and version it is good for, see ``CloningEngine.voice_model``.
        tensors: Arrays by name.
    """

    engine: str
    model: str
    tensors: dict[str, npt.NDArray[np.float32]]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One sentence to speak.

    Attributes:
        text: Plain text, normalised for speech; never markup.
        voice: Id or alias of one of the engine's voices; with ``prepared``, an id of that, which never
            means another one, so that engines may keep what they derive from it.
        language: BCP-47 tag the text is in, for example ``en`` or ``hi``; a voice of many languages
            is asked for this one.
        speed: Rate relative to the voice's own, within the engine's ``speed_range``.
        timings: Whether the caller wants word timings.
        seed: Makes a sampling engine repeatable; ``None`` leaves it free.
        prepared: The voice to speak in, when it was made from recordings; only engines that clone get one.
        abandoned: Polled by the engine while it works; true once nobody wants the result.
        awaited: Polled likewise; true once somebody waits for the audio, not for what comes before it.
            What nobody waits for may be held back, and said again when it went wrong.
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
    """When a word is heard, in seconds from the start of its utterance, and where it stands in its text.

    Attributes:
        word: The word as it was spoken.
        start: Seconds.
        end: Seconds.
        offset: Index of the word's first character in ``Utterance.text``.
    """

    word: str
    start: float
    end: float
    offset: int


FINISH_REASONS: Final = ("stop", "length", "repetition", "runaway")
"""How an utterance ends, the better ones first: by itself; at the engine's limit; ended because it said the
same again and again; ended because it went on for longer than its text can take. Plug-ins may have others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """A spoken utterance.

    Attributes:
        pcm: The samples, see :data:`Pcm`. Empty when they were streamed before this.
        words: Timings, when they were asked for and the engine can tell.
        finish_reason: ``stop``, or why the engine ended early, see :data:`FINISH_REASONS`.
        findings: What the engine found wrong with it, in words as ``early_stop``: lower case, ``_``.
        retries: How often the engine began again because of what it found.
    """

    pcm: Pcm
    words: tuple[WordTiming, ...] = ()
    finish_reason: str = "stop"
    findings: tuple[str, ...] = ()
    retries: int = 0


Outcome: TypeAlias = Speech | EngineError
"""What became of one utterance. An error belongs to its item, never to the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A voice an engine offers.

    Attributes:
        id: What a request names; unique in the engine.
        name: For people.
        languages: BCP-47 tags it speaks, its own first. Empty: any of the engine's.
        gender: ``female``, ``male`` or ``neutral``, where known.
        aliases: Other ids that mean this voice.
    """

    id: str
    name: str
    languages: tuple[str, ...] = ()
    gender: str | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an engine can do, so that nobody has to ask which engine it is.

    What follows from the methods it has is added by :meth:`Abilities.of`.

    Attributes:
        word_timings: It can tell when each word is heard.
        speed_range: Slowest and fastest ``Utterance.speed`` it renders itself, pitch unchanged.
        max_chars: Longest ``Utterance.text``, in characters.
        max_chars_by_language: The same by primary language subtag (``hi``), where a language differs.
        deterministic: The same utterance always gives the same samples.
        trimmed: Its audio begins and ends with speech: who joins utterances makes the pauses between them.
        ipa: It takes words whose sound is given in IPA, as :mod:`engines.text.ipa` marks them in
            ``Utterance.text``.
        slots: Utterances it works on at once, each of which may come and go at any time; the number may
            change, as when it is loaded. 0: it works on batches, whose utterances come together.
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
        """Longest ``Utterance.text`` in a language, which is named by its BCP-47 tag."""
        return self.max_chars_by_language.get(language.partition("-")[0].lower(), self.max_chars)


@runtime_checkable
class EngineAdapter(Protocol):
    """What every engine has beside ``synthesize`` or ``stream``.

    Constructing one is cheap and loads nothing; ``describe``-like attributes and ``voices`` work
    before ``load``. ``load`` and ``close`` alternate, any number of times.
    """

    @property
    def name(self) -> str:
        """The configured name."""
        ...

    @property
    def sample_rate(self) -> int:
        """Hertz of the PCM it gives."""
        ...

    @property
    def languages(self) -> Sequence[str]:
        """BCP-47 tags it speaks."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    @property
    def license(self) -> str:
        """SPDX identifier, or the name, of the licence of the engine or its weights."""
        ...

    def voices(self) -> Sequence[Voice]:
        """The voices it offers, without loading anything."""
        ...

    async def load(self) -> None:
        """Make it ready to speak.

        Raises:
            EngineUnavailable: Something it needs is missing or broken; the message says what.
        """
        ...

    async def close(self) -> None:
        """Give everything back: processes, memory, device. Never raises; safe to repeat."""
        ...

    def batch_key(self, utterance: Utterance) -> Hashable:
        """Utterances with equal keys can share a batch."""
        ...


@runtime_checkable
class SynthesizingEngine(EngineAdapter, Protocol):
    """An engine that hands out an utterance once all of it is spoken."""

    async def synthesize(self, batch: Sequence[Utterance]) -> Sequence[Outcome]:
        """Speak a batch: one outcome for each utterance, in order.

        Cancelling the call stops the engine's work on the batch.
        """
        ...


Streamed: TypeAlias = tuple[int, Pcm | Outcome]
"""Index in the batch, with the next PCM of that utterance, or with its closing outcome."""


@runtime_checkable
class StreamingEngine(EngineAdapter, Protocol):
    """An engine that hands out PCM while it is still generating."""

    def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
        """Speak a batch; PCM of an utterance comes in order, utterances may interleave.

        Each utterance ends with exactly one outcome, whose own ``pcm`` is empty when it succeeded.
        Closing the generator stops the engine's work on the batch.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceSample:
    """A recording to clone a voice from.

    Attributes:
        pcm: The samples, see :data:`Pcm`.
        sample_rate: Hertz.
        transcript: What is said in it, when known.
        language: BCP-47 tag of what is said, when known.
    """

    pcm: Pcm
    sample_rate: int
    transcript: str | None = None
    language: str | None = None


@runtime_checkable
class CloningEngine(EngineAdapter, Protocol):
    """An engine that can make a voice from recordings, and speak an utterance that has one ``prepared``."""

    @property
    def voice_model(self) -> str:
        """Model and version that prepared voices depend on; a change means that they are made again.

        Known without loading anything. Prepared voices of another model are refused.
        """
        ...

    async def prepare_voice(self, samples: Sequence[ReferenceSample]) -> VoiceEmbeddingRef:
        """Compute what the engine needs to speak in the voice of ``samples``; the engine is loaded.

        It must not keep the event loop, nor the speech of others, for long.

        Raises:
            UnsupportedUtterance: The samples cannot be used; the message says why.
        """
        ...


@runtime_checkable
class Forgetful(Protocol):
    """An engine that keeps what it derives from prepared voices, and forgets it when it is told to."""

    def forget_voice(self, voice: str, /) -> None:
        """Give up everything derived from the prepared voice of that id; one never heard of is fine."""
        ...


@runtime_checkable
class Licensed(Protocol):
    """An engine whose licence restricts its use: it is loaded once the operator has accepted ``license``."""

    @property
    def license_notice(self) -> str:
        """What the licence restricts, in a sentence; empty where nothing has to be accepted."""
        ...


@runtime_checkable
class Fetched(Protocol):
    """An engine whose weights have to be fetched before it can speak."""

    @property
    def missing(self) -> str | None:
        """What has to be fetched, and how, in a sentence; ``None`` where all is there.

        Asked often, without loading anything: it looks at the disk. Raises nothing.
        """
        ...


@runtime_checkable
class WarmingUp(Protocol):
    """An engine that is slow at first: it is warmed up after each load, before it speaks for anybody."""

    async def warm_up(self) -> None:
        """Do once what makes the first utterance slow; the engine is loaded.

        Raises:
            EngineUnavailable: It cannot speak after all; the load counts as failed.
        """
        ...


@runtime_checkable
class Weighed(Protocol):
    """An engine that knows before it is loaded what memory it will take, roughly."""

    @property
    def memory_needed(self) -> int:
        """Bytes of main memory, of the engine's child processes too."""
        ...


@runtime_checkable
class WeighedOnGpu(Protocol):
    """An engine that knows before it is loaded what memory of the GPU it will take, roughly."""

    @property
    def vram_needed(self) -> int:
        """Bytes of the GPU's memory; 0 when it computes elsewhere."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities(Capabilities):
    """What an engine says that it can do, and what follows from the methods it has.

    Attributes:
        cloning: It is a :class:`CloningEngine`.
        streaming: It is a :class:`StreamingEngine`.
    """

    cloning: bool = False
    streaming: bool = False

    @classmethod
    def of(cls, engine: EngineAdapter) -> "Abilities":
        """Those of an engine."""
        said = engine.capabilities
        return cls(
            **{each.name: getattr(said, each.name) for each in fields(Capabilities)},
            cloning=isinstance(engine, CloningEngine),
            streaming=isinstance(engine, StreamingEngine),
        )


def stream(engine: EngineAdapter, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
    """Speak a batch as :meth:`StreamingEngine.stream` does; outcomes may have PCM of their own.

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
    """Speak a batch: one outcome for each utterance, in order, with all of its PCM.

    Cancelling the call stops the engine's work on the batch.
    """
    async with aclosing(stream(engine, batch)) as items:
        return await collect(items, len(batch))


async def collect(items: AsyncGenerator[Streamed, None], count: int) -> list[Outcome]:
    """Join what :func:`stream` gives into one outcome for each of ``count`` utterances."""
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
