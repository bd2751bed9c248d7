"""The protocol between a Gateway and an engine runner, over a Unix socket or a network.

A call is one HTTP POST of JSON (:class:`SynthesisCall`). The response is a stream of frames, each with a kind
(1 byte), a length (4 bytes, big-endian) and a payload::

    AUDIO   PCM, signed 16-bit little-endian mono, at the rate in the header ``x-sample-rate``
    SPOKEN  JSON, the end of an utterance: :class:`Spoken`
    ERROR   JSON, the failure of the call: :class:`Failure`; the last frame
    END     empty, the end of the call; the last frame

A voice is prepared by a POST of frames, answered with a safetensors file or JSON (:class:`Failure`)::

    PREPARE JSON, description of the recordings: :class:`Recordings`; the first frame
    AUDIO   PCM as above, of all recordings one after the other
    END     empty; the last frame

Prepared voices are sent to a runner by PUT and erased by DELETE. If the runner lacks one, it answers a call
with :data:`MISSING_STATUS` and :class:`Missing`, before anything is queued.

A POST without a body asks a runner to unload its engine to make room for another one. The response is 204 if
the engine is unloaded, or :data:`HELD_STATUS` and :class:`Failure` if it is in use.

A stream that ends without ERROR or END was cut off. Decoding cannot execute code: the formats are JSON and
samples, never pickle.
"""

import re
import struct
from collections.abc import Generator
from enum import IntEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from engines.contract import (
    Abandoned,
    Abilities,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    LicenseNotAccepted,
    Speech,
    UnsupportedUtterance,
    Voice,
    WordTiming,
)
from engines.lease import EngineState

MEDIA_TYPE: Final = "application/vnd.awaaztwin.frames"
SAMPLE_RATE_HEADER: Final = "x-sample-rate"
SYNTHESIZE_PATH: Final = "/runner/synthesize"
ENGINE_PATH: Final = "/runner/engine"
PREPARE_PATH: Final = "/runner/prepare"
VOICES_PATH: Final = "/runner/voices"
UNLOAD_PATH: Final = "/runner/unload"

HELD_STATUS: Final = 409
"""Status of a refused unload: the engine is in use or loading."""

MISSING_STATUS: Final = 424
MISSED_HEADER: Final = "x-voice-missed"
"""Header of a PUT with :attr:`Missing.missed` of the response that reported the voice as missing."""

VOICE_ID: Final = re.compile(r"emb_[0-9a-f]{8,64}")
"""Pattern of IDs of prepared voices, which are never reused."""

LABEL: Final = r"^[a-z][a-z0-9_]{0,31}$"
"""Pattern of finish reasons and findings on the wire, so that they are valid in headers."""

OTHER: Final = "other"
"""Replacement for a finish reason or finding that does not match :data:`LABEL`."""

MAX_FINDINGS: Final = 16
"""Maximum number of findings of an utterance; further ones are omitted."""

MAX_UTTERANCES: Final = 10_000
MAX_FRAME: Final = 16 * 1024 * 1024
"""Maximum size of a frame's payload in bytes; only a broken or hostile peer sends larger ones."""

BODY_TIMEOUT_SECONDS: Final = 60.0
"""Maximum seconds to receive recordings or a voice in the runner."""

WAIT_TIMEOUT_SECONDS: Final = 300.0
"""Maximum seconds that a preparation waits for earlier ones."""

PREPARE_TIMEOUT_SECONDS: Final = 300.0
"""Maximum seconds for one preparation, including loading the engine."""

_HEAD: Final = struct.Struct(">BI")


class FrameKind(IntEnum):
    """The type of a frame's payload."""

    AUDIO = 1
    SPOKEN = 2
    ERROR = 3
    END = 4
    PREPARE = 5


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Line(_Message):
    """One utterance of a call; see :class:`engines.contract.Utterance`.

    Attributes:
        prepared: Whether ``voice`` is the id of a prepared voice, which the runner must hold.
    """

    text: str = Field(max_length=100_000)
    voice: str = Field(max_length=200)
    language: str = Field(max_length=40)
    speed: float = 1.0
    seed: int | None = None
    prepared: bool = False


class SynthesisCall(_Message):
    """Utterances to speak one after the other.

    Attributes:
        lines: The utterances in order.
        timings: Whether word timings are requested.
        tenant: ID of the tenant, for the fair queue.
        weight: The tenant's weight in the fair queue.
        again: Whether this is a retry, after the runner was sent the missing voices.
    """

    lines: tuple[Line, ...] = Field(min_length=1, max_length=MAX_UTTERANCES)
    timings: bool = False
    tenant: str = "default"
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    again: bool = False

    @property
    def prepared(self) -> frozenset[str]:
        """IDs of the prepared voices that the call uses."""
        return frozenset(line.voice for line in self.lines if line.prepared)


class Missing(_Message):
    """Prepared voices that a runner needs before it can speak a call.

    Attributes:
        missing: IDs of the voices.
        missed: The runner's count of dropped voices. It is sent back with a voice, so that the runner can
            refuse data that may have been read before the voice was dropped.
    """

    missing: tuple[str, ...] = Field(min_length=1, max_length=MAX_UTTERANCES)
    missed: int


class RecordingHeader(_Message):
    """One recording of :class:`Recordings`; see :class:`engines.contract.ReferenceSample`.

    Attributes:
        samples: Number of PCM samples.
    """

    samples: int = Field(ge=1)
    sample_rate: int
    transcript: str | None = Field(default=None, max_length=100_000)
    language: str | None = Field(default=None, max_length=40)


class Recordings(_Message):
    """The recordings to prepare a voice from, in the order in which their PCM follows."""

    recordings: tuple[RecordingHeader, ...]


class Spoken(_Message):
    """The report on a finished utterance; see :class:`engines.contract.Speech`."""

    index: int
    words: tuple[WordTiming, ...] = ()
    finish_reason: str = Field(default="stop", pattern=LABEL)
    findings: tuple[Annotated[str, Field(pattern=LABEL)], ...] = Field(default=(), max_length=MAX_FINDINGS)
    retries: int = Field(default=0, ge=0)

    @classmethod
    def of(cls, index: int, speech: Speech) -> "Spoken":
        """Return the report on ``speech``; labels that do not match :data:`LABEL` become :data:`OTHER`."""
        return cls(
            index=index,
            words=speech.words,
            finish_reason=_label(speech.finish_reason),
            findings=tuple(dict.fromkeys(_label(finding) for finding in speech.findings[:MAX_FINDINGS])),
            retries=max(0, speech.retries),
        )


class Failure(_Message):
    """The failure of a call, with the fields of an :class:`engines.contract.EngineError`."""

    code: str
    message: str
    param: str | None = None
    retry_after: float | None = None

    @classmethod
    def of(cls, error: EngineError) -> "Failure":
        """Return the failure that carries ``error`` over the wire."""
        retry_after = error.retry_after if isinstance(error, EngineUnavailable | EngineOverloaded) else None
        return cls(code=error.code, message=error.message, param=error.param, retry_after=retry_after)

    def error(self) -> EngineError:
        """Return the original error; an unknown code gives a plain ``EngineError``."""
        retry_after = 1.0 if self.retry_after is None else self.retry_after
        match self.code:
            case UnsupportedUtterance.code:
                return UnsupportedUtterance(self.message, param=self.param)
            case EngineOverloaded.code:
                return EngineOverloaded(self.message, retry_after=retry_after)
            case LicenseNotAccepted.code:
                return LicenseNotAccepted(self.message, retry_after=retry_after)
            case EngineUnavailable.code:
                return EngineUnavailable(self.message, retry_after=retry_after)
            case Abandoned.code:
                return Abandoned(self.message)
            case _:
                return EngineError(self.message, param=self.param)


class EngineDescription(_Message):
    """An engine as its runner describes it.

    Attributes:
        name: The configured name.
        type: Type of the engine, which is its implementation.
        sample_rate: Sample rate in Hz.
        languages: BCP-47 tags of its languages.
        license: License of the engine or its weights.
        license_accepted: Whether the operator has accepted the license; ``None`` if that is not required.
        capabilities: Its capabilities.
        voices: The engine's own voices.
        state: State of the model lease.
        reason: The reason why it is unavailable, if it is.
        missing: What must be fetched before it can speak, and how; ``None`` if nothing is missing.
        waiting: Number of queued utterances.
        running: Number of utterances being spoken.
        voice_model: Model and version of its prepared voices; ``None`` if it does not clone.
        voices_cached: Number of prepared voices in the runner's cache.
        voice_bytes: Size of the cached voices in bytes.
        voice_hits: Number of cache hits of calls' voices.
        voice_misses: Number of cache misses of calls' voices.
        held: Whether the engine is in use or awaited, so that it is not unloaded for another one.
        last_used: Unix time of the last use.
        loads: Number of successful loads since the runner started.
        load_failures: Number of failed loads since the runner started.
        unloads: Number of unloads since the runner started, when idle or for another engine.
        load_seconds: Seconds of the last load (the cold start).
        warm_up_seconds: Seconds of the warm-up after it, if any.
        memory_bytes: RAM of the engine, without the runner's own.
        vram_bytes: GPU memory of the engine.
        process_bytes: RAM of the runner and its children, including the engine.
    """

    name: str
    type: str
    sample_rate: int
    languages: tuple[str, ...]
    license: str
    license_accepted: bool | None = None
    capabilities: Abilities
    voices: tuple[Voice, ...]
    state: EngineState
    reason: str | None = None
    missing: str | None = None
    waiting: int = 0
    running: int = 0
    voice_model: str | None = None
    voices_cached: int = 0
    voice_bytes: int = 0
    voice_hits: int = 0
    voice_misses: int = 0
    held: bool = False
    last_used: float | None = None
    loads: int = 0
    load_failures: int = 0
    unloads: int = 0
    load_seconds: float | None = None
    warm_up_seconds: float | None = None
    memory_bytes: int = 0
    vram_bytes: int = 0
    process_bytes: int = 0


def _label(word: str) -> str:
    return word if re.fullmatch(LABEL, word) else OTHER


class BrokenStream(ValueError):  # noqa: N818 - named for the cause
    """The peer sent an invalid stream of frames."""


def frame(kind: FrameKind, payload: bytes = b"") -> bytes:
    """Encode one frame."""
    return _HEAD.pack(kind, len(payload)) + payload


class FrameReader:
    """Splits a stream of bytes, in pieces of any size, into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Generator[tuple[FrameKind, bytes], None, None]:
        """Yield the frames that ``data`` completes.

        Raises:
            BrokenStream: A frame is of an unknown kind, or longer than :data:`MAX_FRAME`.
        """
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._buffer)
            if length > MAX_FRAME:
                raise BrokenStream(f"a frame of {length} bytes")
            end = _HEAD.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEAD.size : end])
            del self._buffer[:end]
            try:
                yield FrameKind(kind), payload
            except ValueError as error:
                raise BrokenStream(f"a frame of kind {kind}") from error
