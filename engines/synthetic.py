"""An engine of known cost that speaks in tones, for load tests, benchmarks and tests of the server.

Each batch takes ``base_ms``, plus ``item_ms`` per utterance, and each character becomes ``seconds_per_char``
of a sine tone. It is part of the product, so that operators can measure the server without the cost of a real
engine. It also clones: a voice is the pitch of its recordings.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Hashable, Sequence
from functools import lru_cache
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engines.config import EngineConfig, StrictModel
from engines.contract import (
    FINISH_REASONS,
    Abandoned,
    Capabilities,
    EngineUnavailable,
    Outcome,
    Pcm,
    ReferenceSample,
    Speech,
    Streamed,
    UnsupportedUtterance,
    Utterance,
    Voice,
    VoiceEmbeddingRef,
    WordTiming,
)

SAMPLE_RATE: Final = 24_000
MEBIBYTE: Final = 1024 * 1024
BALLAST: Final = 64 * 1024
"""Size in bytes of each array for ``memory_mb``: small enough for the allocator's heap."""

MAX_CHARS: Final = 400
POLL_SECONDS: Final = 0.01
"""Seconds between checks whether the utterances are abandoned."""

FRAME_SECONDS: Final = 0.1
"""Length of a frame of a recording, for measuring its pitch, in seconds."""

FRAMES: Final = 25
"""Maximum number of frames per recording, spread evenly over it."""

PITCHES: Final = (60.0, 1_000.0)
"""Range of pitches in hertz."""


class SyntheticOptions(StrictModel):
    """``options`` of an engine of type ``SYNTHETIC``."""

    base_ms: float = Field(default=50.0, ge=0, description="Cost of a batch, whatever its size.")
    item_ms: float = Field(default=5.0, ge=0, description="Cost of each utterance in it.")
    seconds_per_char: float = Field(default=0.06, gt=0, le=1.0, description="Length of the audio.")
    frequency: float = Field(
        default=220.0, gt=0, le=8_000, description="Hertz of the tone of the voice `tone`."
    )
    max_chars_by_language: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict[str, int],
        description="Longest utterance in a language, by its primary subtag; 400 in others.",
    )
    word_timings: bool = Field(default=True, description="Whether it has word timings.")
    fail_on: str | None = Field(default=None, description="Utterances that contain this text are refused.")
    crash_on: str | None = Field(
        default=None, description="Utterances that contain this text end the process."
    )
    find_on: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="Findings about utterances that contain a text, by that text.",
    )
    fail_load: bool = Field(default=False, description="Whether loading fails.")
    crash_load: bool = Field(default=False, description="Whether loading ends the process.")
    load_ms: float = Field(default=0.0, ge=0, description="Cost of loading.")
    warm_up_ms: float = Field(default=0.0, ge=0, description="Cost of the first utterance, paid at loading.")
    memory_mb: int = Field(default=0, ge=0, le=65_536, description="Mebibytes it takes while it is loaded.")
    license: str = Field(default="Apache-2.0", min_length=1, description="The licence it claims to have.")
    license_notice: str = Field(
        default="", description="Restrictions of that licence; if set, it must be accepted."
    )
    voice_model: str = Field(
        default="synthetic/1", min_length=1, description="Model and version of prepared voices."
    )
    prepare_ms: float = Field(default=0.0, ge=0, description="Cost of preparing a voice.")
    fail_prepare: bool = Field(default=False, description="Whether every recording is refused.")


class SyntheticEngine:
    """Sine tones at a known cost; the voice ``tone-high`` is an octave above ``tone``.

    Args:
        config: The engine's settings; ``options`` as in :class:`SyntheticOptions`.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._name = config.name
        self._options = SyntheticOptions.model_validate(config.options)
        self._loaded = False
        self._ballast: list[npt.NDArray[np.uint8]] = []

    @property
    def name(self) -> str:
        """The configured name."""
        return self._name

    @property
    def sample_rate(self) -> int:
        """Sample rate: 24 kHz."""
        return SAMPLE_RATE

    @property
    def languages(self) -> Sequence[str]:
        """English and Hindi, which sound the same."""
        return ("en", "hi")

    @property
    def capabilities(self) -> Capabilities:
        """Speed, and word timings in proportion to characters unless an option disables them."""
        return Capabilities(
            word_timings=self._options.word_timings,
            speed_range=(0.5, 2.0),
            max_chars=MAX_CHARS,
            max_chars_by_language=self._options.max_chars_by_language,
            deterministic=True,
        )

    @property
    def license(self) -> str:
        """The option ``license``, by default this project's licence."""
        return self._options.license

    @property
    def license_notice(self) -> str:
        """The option ``license_notice``."""
        return self._options.license_notice

    @property
    def memory_needed(self) -> int:
        """The option ``memory_mb``, in bytes."""
        return self._options.memory_mb * MEBIBYTE

    @property
    def voice_model(self) -> str:
        """The option ``voice_model``."""
        return self._options.voice_model

    def voices(self) -> Sequence[Voice]:
        """Return the two voices, ``tone`` and ``tone-high``."""
        return (Voice(id="tone", name="Tone", aliases=("alloy",)), Voice(id="tone-high", name="High tone"))

    async def load(self) -> None:
        """Take the configured time and memory.

        Raises:
            EngineUnavailable: The option ``fail_load`` is set.
        """
        await asyncio.sleep(self._options.load_ms / 1000)
        if self._options.crash_load:
            os._exit(71)  # a crash while loading is what the option asks for
        if self._options.fail_load:
            raise EngineUnavailable("The option fail_load is set.")
        # Small arrays that are written to, like a model's, so that the allocator's heap grows.
        self._ballast = [np.ones(BALLAST, np.uint8) for _ in range(self.memory_needed // BALLAST)]
        self._loaded = True

    async def warm_up(self) -> None:
        """Take the configured ``warm_up_ms``."""
        await asyncio.sleep(self._options.warm_up_ms / 1000)

    async def close(self) -> None:
        """Release the memory."""
        self._loaded = False
        self._ballast = []

    def batch_key(self, utterance: Utterance) -> Hashable:
        """Return ``None``: all utterances can share a batch."""
        del utterance
        return None

    async def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
        """Yield all outcomes together, after the duration of the batch.

        Raises:
            EngineUnavailable: The engine is not loaded.
        """
        if not self._loaded:
            raise EngineUnavailable("The engine is not loaded.")
        await self._work(batch)
        for index, utterance in enumerate(batch):
            yield index, self._speak(utterance)

    async def prepare_voice(self, samples: Sequence[ReferenceSample]) -> VoiceEmbeddingRef:
        """Measure the pitch of the recordings in hertz.

        Raises:
            UnsupportedUtterance: The recordings are silent, or the option ``fail_prepare`` is set.
            EngineUnavailable: The engine is not loaded.
        """
        if not self._loaded:
            raise EngineUnavailable("The engine is not loaded.")
        await asyncio.sleep(self._options.prepare_ms / 1000)
        if self._options.fail_prepare:
            raise UnsupportedUtterance("The option fail_prepare is set.")
        measured = await asyncio.to_thread(_pitches, samples)
        if not measured:
            raise UnsupportedUtterance("There is no sound in the recordings.")
        frequency = np.array([np.median(measured)], np.float32)
        return VoiceEmbeddingRef(engine=self._name, model=self.voice_model, tensors={"frequency": frequency})

    async def _work(self, batch: Sequence[Utterance]) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + (self._options.base_ms + self._options.item_ms * len(batch)) / 1000
        while (left := end - loop.time()) > 0 and not all(u.abandoned() for u in batch):  # noqa: ASYNC110 - passing time is the work
            await asyncio.sleep(min(left, POLL_SECONDS))

    def _speak(self, utterance: Utterance) -> Outcome:
        options = self._options
        if utterance.abandoned():
            return Abandoned("The utterance was abandoned.")
        if options.crash_on and options.crash_on in utterance.text:
            os._exit(70)  # a crash of the runner is what the option asks for
        if options.fail_on and options.fail_on in utterance.text:
            return UnsupportedUtterance(f"The text holds {options.fail_on!r}.", param="input")
        if len(utterance.text) > (limit := self.capabilities.max_chars_in(utterance.language)):
            message = f"The text is {len(utterance.text)} characters long; the limit is {limit}."
            return UnsupportedUtterance(message, param="input")
        frequency = self._frequency(utterance)
        if isinstance(frequency, UnsupportedUtterance):
            return frequency
        seconds = len(utterance.text) * options.seconds_per_char / utterance.speed
        found = tuple(finding for text, finding in options.find_on.items() if text in utterance.text)
        return Speech(
            pcm=_tone(seconds, frequency),
            words=_timings(utterance.text, seconds) if utterance.timings and options.word_timings else (),
            finish_reason=next((finding for finding in found if finding in FINISH_REASONS), "stop"),
            findings=found,
            retries=min(1, len(found)),
        )

    def _frequency(self, utterance: Utterance) -> float | UnsupportedUtterance:
        prepared = utterance.prepared
        if prepared is None:
            if utterance.voice not in {"tone", "alloy", "tone-high"}:
                return UnsupportedUtterance(f"There is no voice {utterance.voice!r}.", param="voice")
            return self._options.frequency * (2.0 if utterance.voice == "tone-high" else 1.0)
        array = prepared.tensors.get("frequency")
        if prepared.model != self.voice_model or array is None or array.shape != (1,):
            return UnsupportedUtterance(
                f"The voice {utterance.voice!r} was prepared for another model.", param="voice"
            )
        return float(array[0])


@lru_cache(maxsize=32)  # so that tones cost nothing beyond the configured times
def _tone(seconds: float, frequency: float) -> Pcm:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    edge = np.clip(np.minimum(time, seconds - time) / 0.005, 0.0, 1.0)  # 5 ms ramps: no click at the borders
    tone = (8_000 * edge * np.sin(2 * np.pi * frequency * time)).astype(np.int16)
    tone.flags.writeable = False
    return tone


def _timings(text: str, seconds: float) -> tuple[WordTiming, ...]:
    words: list[WordTiming] = []
    offset = 0
    per_char = seconds / max(1, len(text))
    for word in text.split():
        offset = text.index(word, offset)
        words.append(WordTiming(word, offset * per_char, (offset + len(word)) * per_char, offset))
        offset += len(word)
    return tuple(words)


def _pitches(samples: Sequence[ReferenceSample]) -> list[float]:
    """Return the strongest frequency of each frame that is not silent, in hertz."""
    found: list[float] = []
    for sample in samples:
        size = round(sample.sample_rate * FRAME_SECONDS)
        starts = np.linspace(0, max(0, len(sample.pcm) - size), FRAMES).astype(int)
        for start in np.unique(starts):
            frame = sample.pcm[start : start + size].astype(np.float64)
            if frame.size and frame.any():
                found.append(_peak(frame, sample.sample_rate))
    return found


def _peak(frame: npt.NDArray[np.float64], sample_rate: int) -> float:
    size = 1 << (8 * frame.size - 1).bit_length()  # padded: bins of little more than a hertz
    power = np.abs(np.fft.rfft(frame * np.hanning(frame.size), size))
    low, high = (round(hertz * size / sample_rate) for hertz in PITCHES)
    return float((low + np.argmax(power[low:high])) * sample_rate / size)
