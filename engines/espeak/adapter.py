"""The engine: eSpeak NG in a pool of worker processes."""

import asyncio
import contextlib
import importlib.metadata
import importlib.util
from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

from engines.config import EngineConfig, StrictModel
from engines.contract import (
    Abandoned,
    Capabilities,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    Pcm,
    ReferenceSample,
    Streamed,
    UnsupportedUtterance,
    Utterance,
    Voice,
    VoiceEmbeddingRef,
)
from engines.espeak.adaptation.preparing import prepare
from engines.espeak.adaptation.speech import Adapted, transformed
from engines.espeak.adaptation.voice import AdaptedVoice
from engines.espeak.catalogue import Catalogue, EspeakVoice
from engines.espeak.pool import Pool
from engines.espeak.process import WorkerProcess
from engines.espeak.rate import SPEED_RANGE, words_per_minute
from engines.espeak.speaking import Job, render, speak
from engines.espeak.wire import Request
from engines.one_core import use_one_core

SAMPLE_RATE: Final = 22_050
MAX_CHARS: Final = 1_000
"""Maximum length of an utterance, about a minute of speech; longer ones would only occupy a worker."""
MAX_SPEAKING_SECONDS: Final = 10.0
"""Maximum duration of one utterance in seconds; the longest one takes 0.1 s on an idle core."""
ENGLISH: Final = "en-us"
"""Language that is assumed for recordings without one."""
_MODEL: Final = "espeak-adaptation/1"
"""Name and version of the method; changes with the meaning of a prepared voice's arrays."""
_LOADER: Final = "espeakng_loader"
_DATA: Final = "espeak-ng-data"
_LIBRARIES: Final = ("libespeak-ng.so", "libespeak-ng.dylib", "espeak-ng.dll")


class EspeakOptions(StrictModel):
    """``options`` of an engine of type ``ESPEAK``: none."""


class EspeakEngine:
    """All languages of eSpeak NG, without weights or a GPU.

    Args:
        config: The engine's settings. ``max_concurrent_jobs`` is the number of worker processes. The timeout
            of one utterance is half of ``utterance_timeout_seconds``, but at most
            :data:`MAX_SPEAKING_SECONDS`, so that time remains for the rest of its batch.
    """

    def __init__(self, config: EngineConfig) -> None:
        EspeakOptions.model_validate(config.options)
        self._name = config.name
        self._size = config.max_concurrent_jobs
        self._timeout = config.utterance_timeout_seconds
        self._changing = asyncio.Lock()
        self._preparing = asyncio.Lock()  # it keeps a core busy for seconds
        self._pool: Pool | None = None

    @property
    def name(self) -> str:
        """The configured name."""
        return self._name

    @property
    def sample_rate(self) -> int:
        """Sample rate: 22.05 kHz."""
        return SAMPLE_RATE

    @property
    def languages(self) -> Sequence[str]:
        """Languages in the library's data."""
        return self._catalogue.languages

    @property
    def capabilities(self) -> Capabilities:
        """Streams, reports word timings, changes speed, and clones.

        Slots are workers: a batch would take as long as its utterances one after another, and delay other
        callers. Not deterministic: the flutter of the pitch, which makes it livelier, continues from one
        utterance to the next.
        """
        return Capabilities(
            word_timings=True,
            speed_range=SPEED_RANGE,
            max_chars=MAX_CHARS,
            slots=self._size,
            deterministic=False,
        )

    @property
    def license(self) -> str:
        """Licence of the library, which runs in separate processes."""
        return "GPL-3.0-or-later"

    @property
    def workers(self) -> Sequence[int]:
        """Process IDs of the running workers."""
        return [worker.pid for worker in self._pool.workers] if self._pool else []

    def voices(self) -> Sequence[Voice]:
        """Return voices with OpenAI's names, which speak any language, then one voice per language."""
        return self._catalogue.voices

    def casting(self, voice: str, language: str) -> EspeakVoice:
        """Return the library's voice and parameters for an utterance without a prepared voice.

        Raises:
            UnsupportedUtterance: The voice or language does not exist.
        """
        return self._catalogue.cast(voice, language)

    async def load(self) -> None:
        """Start the workers; each speaks once before it is ready.

        Raises:
            EngineUnavailable: The library is not installed, or a worker cannot speak.
        """
        async with self._changing:
            if self._pool is not None:
                return
            pool = Pool(self._spawn, self._size)
            await pool.start()
            use_one_core()
            self._pool = pool

    async def close(self) -> None:
        """Stop the workers; their utterances end with ``EngineUnavailable``."""
        async with self._changing:
            pool, self._pool = self._pool, None
            if pool is not None:
                await pool.close()

    def batch_key(self, utterance: Utterance) -> Hashable:
        """Return ``None``: all utterances can share a batch."""
        del utterance
        return None

    async def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
        """Speak a batch on one worker, in order, yielding 200 ms at a time.

        Raises:
            EngineUnavailable: The engine is not loaded.
        """
        if self._pool is None:
            raise EngineUnavailable("The engine is not loaded.")
        jobs: list[Job] = []
        adapted: dict[int, Adapted] = {}
        for index, utterance in enumerate(batch):
            try:
                voice = self._prepared(utterance)
                jobs.append(Job(index, utterance, self._request(utterance, voice)))
            except EngineError as error:
                yield index, error
                continue
            if voice is not None:
                adapted[index] = Adapted(voice)
        if not jobs:
            return
        async with AsyncExitStack() as stack:
            try:
                place = await stack.enter_async_context(self._pool.lend(self._timeout))
            except EngineOverloaded as error:
                for job in jobs:
                    yield job.index, error
                return
            spoken = await stack.enter_async_context(
                aclosing(speak(place, jobs, min(self._timeout / 2, MAX_SPEAKING_SECONDS)))
            )
            items = await stack.enter_async_context(aclosing(transformed(spoken, adapted)))
            async for item in items:
                yield item

    @property
    def voice_model(self) -> str:
        """Versions of the method and of eSpeak NG."""
        try:
            version = importlib.metadata.version(_LOADER.replace("_", "-"))
        except importlib.metadata.PackageNotFoundError:
            return _MODEL
        return f"{_MODEL} ({_LOADER} {'.'.join(version.split('.')[:2])})"

    async def prepare_voice(self, samples: Sequence[ReferenceSample]) -> VoiceEmbeddingRef:
        """Learn how a speaker differs from eSpeak NG; one preparation at a time, concurrently with speech.

        Raises:
            UnsupportedUtterance: The samples cannot be used; the message says why.
            EngineUnavailable: The engine is not loaded, or a worker crashed.
        """
        async with self._preparing:
            voice = await prepare(samples, self._spoken, self._speaker_of)
        return VoiceEmbeddingRef(engine=self.name, model=self.voice_model, tensors=voice.to_tensors())

    def _speaker_of(self, language: str | None) -> str:
        if language:
            with contextlib.suppress(UnsupportedUtterance):
                return self._catalogue.speaker_of(language)
        return self._catalogue.speaker_of(ENGLISH)

    async def _spoken(self, requests: Sequence[Request]) -> Sequence[Pcm]:
        if self._pool is None:
            raise EngineUnavailable("The engine is not loaded.")
        requests = [replace(request, text=speakable(request.text)) for request in requests]
        async with self._pool.lend(self._timeout) as place:
            return await render(place, requests, min(self._timeout / 2, MAX_SPEAKING_SECONDS))

    def _prepared(self, utterance: Utterance) -> AdaptedVoice | None:
        prepared = utterance.prepared
        return None if prepared is None else AdaptedVoice.from_prepared(prepared, self.voice_model)

    def _request(self, utterance: Utterance, adapted: AdaptedVoice | None) -> Request:
        if utterance.abandoned():
            raise Abandoned("The utterance was abandoned.")
        text = speakable(utterance.text)
        if not text.strip():
            raise UnsupportedUtterance("The text contains nothing to speak.", param="input")
        if len(text) > MAX_CHARS:
            message = f"The text is {len(text)} characters long; eSpeak NG accepts at most {MAX_CHARS}."
            raise UnsupportedUtterance(message, param="input")
        if adapted is not None:
            speaker = self._catalogue.speaker_of(utterance.language)
            speed, timings = utterance.speed, utterance.timings
            return adapted.delivery.request(text, speaker, speed=speed, timings=timings)
        casting = self.casting(utterance.voice, utterance.language)
        return Request(
            text=text,
            voice=casting.voice,
            rate=words_per_minute(utterance.speed),
            pitch=casting.pitch,
            pitch_range=casting.pitch_range,
            timings=utterance.timings,
        )

    async def _spawn(self) -> WorkerProcess:
        if self._folder is None:
            raise EngineUnavailable(
                "The package espeakng-loader, which contains eSpeak NG, is not installed. "
                "Run `pip install 'awaaztwin[server]'`.",
                retry_after=60.0,
            )
        library = next((path for name in _LIBRARIES if (path := self._folder / name).is_file()), None)
        if library is None:
            raise EngineUnavailable(
                f"There is no eSpeak NG library in {self._folder}. "
                "Run `pip install --force-reinstall espeakng-loader`.",
                retry_after=60.0,
            )
        return await WorkerProcess.start(library, self._folder)

    @cached_property
    def _catalogue(self) -> Catalogue:
        return Catalogue(self._folder / _DATA if self._folder else None)

    @cached_property
    def _folder(self) -> Path | None:
        """Folder of the wheel's library and data, found without importing it; ``None`` if not installed."""
        spec = importlib.util.find_spec(_LOADER)
        return Path(spec.origin).parent if spec and spec.origin else None


def speakable(text: str) -> str:
    """Replace each control character and lone surrogate by a space; the length remains the same.

    eSpeak NG interprets U+0001 as the start of a command, and U+0000 as the end of the text.
    """
    return text.translate(_UNSPEAKABLE)


_UNSPEAKABLE: Final = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000)], " ")
