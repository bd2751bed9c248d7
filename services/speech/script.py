"""Speech requests, and the scripts that they become: utterances for one engine."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engines.text import Passage, TextError, TextOptions
from engines.text.pauses import paced
from engines.text.scripts import primary, readable
from services.audio.formats import AudioFormat, SampleRateError, UnknownFormat, find_format
from services.config import Settings
from services.errors import ApiError, invalid
from services.names import nearest_names
from services.quota.characters import booked
from services.speech.planning import Planner
from services.voices.casting import Cast, Casting
from services.wire.frames import Line, SynthesisCall

SLOWEST: Final = 0.25
FASTEST: Final = 4.0
SECONDS_PER_CHAR: Final = 0.12
"""Upper estimate of the audio per character of prepared text, in seconds.

At a normal rate, speech has 12 to 18 characters per second (0.055–0.085 s each).
"""

SENTENCE_SECONDS: Final = 1.0
"""Seconds added to the estimate for each sentence, for the silence that engines put around it."""

SPOKEN_FACTOR: Final = 10
SPOKEN_MORE: Final = 2_000
"""Characters that the limit of the spoken text, ``SPOKEN_FACTOR * limits.max_input_chars``, is raised by.

The limit bounds the growth by lexicons, markup and written-out numbers. Digits alone grow fivefold.
"""


class VoiceReference(BaseModel):
    """A voice named by an object, as OpenAI's custom voices are."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(min_length=1, max_length=200)


class SpeechRequest(BaseModel):
    """The body of ``POST /v1/audio/speech``: OpenAI's fields, and this server's own.

    Unknown fields are ignored, since clients add their own.
    """

    model_config = ConfigDict(extra="ignore")

    input: str = Field(description="The text to speak: plain, Markdown, or SSML if it starts with `<speak`.")
    model: str = Field(
        default="tts-1",
        max_length=200,
        description="One of OpenAI's model names, for the default engine or another that speaks the text; "
        "or an engine's name.",
    )
    voice: Annotated[str, Field(min_length=1, max_length=200)] | VoiceReference = Field(
        default="alloy", description="A voice's id, name or alias, or an object with its `id`."
    )
    response_format: str = Field(
        default="mp3",
        max_length=40,
        description="mp3, opus, aac, flac, wav, pcm; for telephony ulaw, alaw, wav_ulaw, wav_alaw.",
    )
    speed: Annotated[float, Field(strict=True, allow_inf_nan=False)] = Field(
        default=1.0, ge=SLOWEST, le=FASTEST, description="Rate of speech; the pitch is unchanged."
    )
    instructions: str | None = Field(
        default=None, max_length=4096, description="Accepted; ignored by engines that cannot follow them."
    )
    stream_format: Literal["audio", "sse"] = Field(
        default="audio", description="`sse` streams `speech.audio.delta` events with base64 audio."
    )
    language: str | None = Field(
        default=None,
        min_length=2,
        max_length=35,
        pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$",
        description="BCP-47 tag of the text; by default the voice's own language, or, for a voice of many "
        "languages, that of each sentence's script.",
    )
    engine: str | None = Field(
        default=None, max_length=63, description="An engine's name; overrides `model`."
    )
    sample_rate: Annotated[int, Field(strict=True)] | None = Field(
        default=None, description="The audio's sample rate in Hz, where the format allows a choice."
    )
    seed: Annotated[int, Field(strict=True)] | None = Field(
        default=None,
        ge=0,
        lt=1 << 63,
        description="Makes the output of sampling engines reproducible, whatever other requests they serve.",
    )
    timestamps: bool = Field(
        default=False,
        description="Sends each word's time as `speech.audio.timestamps` events; needs `sse` and an "
        "engine with word timings.",
    )
    lexicon: dict[str, str] | None = Field(
        default=None, description="Word → spoken form, in addition to the configured lexicon."
    )
    store: bool = Field(
        default=False, description="Store the audio; `x-audio-id` has its id for `GET /audio/{id}`."
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: object) -> object:
        if isinstance(data, Mapping):
            given = cast("Mapping[str, Any]", data)
            return {key: value for key, value in given.items() if value is not None}
        return data

    @property
    def voice_id(self) -> str:
        """The requested voice's id, name or alias, from either form of ``voice``."""
        return self.voice if isinstance(self.voice, str) else self.voice.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The utterances of a request, the engine that speaks them, and the output format.

    Attributes:
        cast: The engine and the voice.
        call: The utterances.
        passages: The text of each utterance, in the same order.
        source_rate: Sample rate of the engine's PCM, in Hz.
        format: Format of the response's audio.
        sample_rate: Sample rate of the response's audio, in Hz; ``None`` for the format's default.
        tempo: Time-stretch factor for the part of the speed that the engine does not support.
        written: Number of characters of the request's input.
        characters: Number of characters to book, see :func:`services.quota.characters.booked`.
    """

    cast: Cast
    call: SynthesisCall
    passages: tuple[Passage, ...]
    source_rate: int
    format: AudioFormat
    sample_rate: int | None
    tempo: float
    written: int
    characters: int

    @property
    def audio_seconds(self) -> float:
        """Upper estimate of the audio's duration, which is reserved before it is spoken."""
        spoken = sum(SECONDS_PER_CHAR * len(line.text) / line.speed for line in self.call.lines)
        pauses = sum(passage.pause_before + passage.pause_after for passage in self.passages)
        return (spoken + SENTENCE_SECONDS * len(self.passages)) / self.tempo + pauses


async def write_script(
    request: SpeechRequest,
    casting: Casting,
    settings: Settings,
    planner: Planner,
    *,
    tenant: str,
    weight: float = 1.0,
) -> Script:
    """Check a request and plan its speech.

    Args:
        request: The request.
        casting: Finds the voice.
        settings: The settings.
        planner: Prepares the text.
        tenant: ID of the caller's tenant.
        weight: The tenant's weight in the fair queues.

    Raises:
        ApiError: The request is invalid; the error names the field.
        EngineOverloaded: Too many texts wait to be planned.
        EngineUnavailable: The engine does not answer, and its description is not cached.
        StorageUnavailable: The voice may belong to the tenant, and the database is unavailable.
    """
    limit = settings.limits.max_input_chars
    if len(request.input) > limit:
        message = f"The input has {len(request.input)} characters; the limit is {limit}."
        raise invalid(message, "input", "string_above_max_length")
    audio_format = _format(request)
    if request.timestamps and request.stream_format != "sse":
        raise invalid("Timestamps need events: set 'stream_format' to 'sse'.", "timestamps")
    entries = len(request.lexicon or {})
    if entries > settings.limits.max_lexicon_entries:
        message = f"The lexicon has {entries} entries; the limit is {settings.limits.max_lexicon_entries}."
        raise invalid(message, "lexicon", "too_many_entries")
    wanted = _wanted(request, settings)

    async def read(cast: Cast, languages: tuple[str, ...]) -> _Reading:
        options = _options(request, settings, cast, languages)
        try:
            found = await planner.plan(request.input, options, tenant=tenant, weight=weight)
        except TextError as error:
            raise invalid(error.message, error.param, error.code) from error
        return _Reading(cast, found)

    candidates = casting.candidates(
        tenant,
        request.voice_id,
        model=request.model,
        engine=request.engine,
        timings=request.timestamps,
    )
    reading = await _rehearse(candidates, wanted, read)
    cast, description = reading.cast, reading.cast.description
    trimmed = description.capabilities.trimmed
    passages = paced(reading.passages, request.speed) if trimmed else reading.passages
    slow, fast = description.capabilities.speed_range
    tempo = request.speed / min(max(request.speed, slow), fast)
    lines = tuple(
        Line(
            text=passage.text,
            voice=cast.name,
            language=passage.language,
            speed=min(max(request.speed * passage.rate / tempo, slow), fast),
            # Otherwise identical sentences would sound identical.
            seed=None if request.seed is None else (request.seed + number) % (1 << 63),
            prepared=cast.reader is not None,
        )
        for number, passage in enumerate(passages)
    )
    return Script(
        cast=cast,
        call=SynthesisCall(lines=lines, timings=request.timestamps, tenant=tenant, weight=weight),
        passages=passages,
        source_rate=description.sample_rate,
        format=audio_format,
        sample_rate=request.sample_rate,
        tempo=tempo,
        written=len(request.input),
        characters=booked(len(request.input), sum(passage.said for passage in passages)),
    )


def _format(request: SpeechRequest) -> AudioFormat:
    try:
        audio_format = find_format(request.response_format)
    except UnknownFormat as error:
        raise invalid(str(error), "response_format", "unsupported_format") from error
    if request.sample_rate is not None:
        try:
            audio_format.check_rate(request.sample_rate)
        except SampleRateError as error:
            raise invalid(str(error), "sample_rate", "unsupported_sample_rate") from error
    return audio_format


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text, planned for one candidate voice."""

    cast: Cast
    passages: tuple[Passage, ...]

    def suits(self, languages: Sequence[str]) -> bool:
        """Whether ``languages`` include each passage's language, and one that uses its script."""
        known = {primary(tag) for tag in languages}
        return all(
            primary(language) in known and readable(source, languages)
            # a set: many passages may share one long source sentence
            for language, source in {(passage.language, passage.source) for passage in self.passages}
        )


async def _rehearse(
    candidates: AsyncGenerator[Cast, None],
    wanted: str | None,
    read: Callable[[Cast, tuple[str, ...]], Awaitable[_Reading]],
) -> _Reading:
    """Return the first candidate whose voice speaks all languages of the text, with the planned text.

    If there is none, return the first candidate whose engine speaks them, or else the first that speaks the
    requested language.

    Raises:
        ApiError: No candidate speaks the requested language.
    """
    readings: list[_Reading] = []
    refusals: list[ApiError] = []
    async with aclosing(candidates):
        async for cast in candidates:
            try:
                languages = _languages(cast, wanted)
            except ApiError as error:
                refusals.append(error)
                continue
            reading = await read(cast, languages)
            if reading.suits(_offered(cast)):
                return reading
            readings.append(reading)
    if not readings:
        raise refusals[0]
    return max(readings, key=lambda reading: reading.suits(reading.cast.description.languages))


def _wanted(request: SpeechRequest, settings: Settings) -> str | None:
    """Return the requested language, or the default one."""
    return request.language or settings.text.default_language


def _languages(cast: Cast, wanted: str | None) -> tuple[str, ...]:
    """Return the languages that the text may be in: ``wanted``, or the voice's; empty if it may be in any.

    Raises:
        ApiError: 400, the voice does not speak ``wanted``.
    """
    if wanted is None:
        return cast.voice.languages
    tag = wanted.replace("_", "-").lower()
    offered = _offered(cast)
    if any(tag == known.lower() or primary(tag) == primary(known) for known in offered):
        return (tag,)
    if cast.voice.languages:
        speaks = ", ".join(cast.voice.languages)
        message = f"The voice '{cast.voice.id}' speaks {speaks}, not '{wanted}'."
        raise invalid(message, "language", "language_not_supported")
    near = nearest_names(tag, offered, most=3, cutoff=0.3)
    hint = f" Nearest: {', '.join(near)}." if near else ""
    message = f"The engine {cast.description.name} does not speak '{wanted}'.{hint}"
    raise invalid(message, "language", "language_not_supported")


def _offered(cast: Cast) -> tuple[str, ...]:
    """Return the voice's languages; those of its engine if it lists none."""
    return cast.voice.languages or cast.description.languages


def _options(
    request: SpeechRequest, settings: Settings, cast: Cast, languages: tuple[str, ...]
) -> TextOptions:
    capabilities = cast.description.capabilities
    return TextOptions(
        language=languages[0] if _wanted(request, settings) else None,
        languages=languages,
        max_chars=capabilities.max_chars,
        max_chars_by_language=capabilities.max_chars_by_language,
        first_max_chars=settings.text.first_max_chars,
        strip_markup=settings.text.strip_markup,
        normalize=settings.text.normalize,
        lexicon=settings.text.lexicon,
        own_lexicon=request.lexicon or {},
        max_spoken=SPOKEN_FACTOR * settings.limits.max_input_chars + SPOKEN_MORE,
        ipa=capabilities.ipa,
        stretches=request.timestamps,
    )
