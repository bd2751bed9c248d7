"""The engine: a base voice speaks, and its speech is converted to the tone colour of a prepared voice.

Torch and coqui-tts are imported only when the engine is loaded.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from cachetools import LRUCache

from engines.config import EngineConfig
from engines.contract import (
    Capabilities,
    EngineError,
    EngineUnavailable,
    Pcm,
    ReferenceSample,
    Speech,
    Streamed,
    UnsupportedUtterance,
    Utterance,
    Voice,
    VoiceEmbeddingRef,
    collect,
)
from engines.openvoice.base import SAMPLE_RATE, BaseVoice, ToneColour
from engines.openvoice.configuration import WEIGHTS, converter_folder, fingerprint
from engines.openvoice.embedded import EmbeddedVoice
from engines.openvoice.options import OpenVoiceOptions
from engines.openvoice.references import signals
from engines.openvoice.row import Row
from engines.recordings.prepared import check_model
from engines.recordings.signals import to_signal
from engines.text.reading import reading_script

if TYPE_CHECKING:
    from engines.openvoice.machine import Machine

MAX_CHARS: Final = 400
"""Maximum length of a text in characters: about half a minute of speech."""
SPEAKERS: Final = 64
"""Maximum number of cached tone colours of the base's speakers; each has a kilobyte."""
PARTS_AHEAD: Final = 64
"""Maximum number of parts, of 200 ms each, that the base may speak ahead of the conversion."""
_READ: Final = 3
"""Number of sentences of the script that a speaker's tone colour is measured from: 15 seconds."""
_MODEL: Final = "openvoice-v2"
_COLOUR: Final = "tone_colour"
_PITCH: Final = "pitch"
_LIBRARIES: Final = 700_000_000
"""Approximate memory of torch, coqui-tts and a batch, in bytes."""
_COPIES: Final = 2
"""Number of copies of the weights during loading: as read, and rearranged."""
_WARM_SECONDS: Final = 2
_HERTZ: Final = (20.0, 2_000.0)
_LARGEST: Final = 1e4
"""Limit of a tone colour's values, far beyond any plausible one."""


@dataclass(frozen=True, slots=True)
class _Target:
    """The tone colour of a cloned voice, and its pitch in hertz; 0 if unknown."""

    colour: ToneColour
    pitch: float


@dataclass(slots=True, eq=False)
class _Job:
    """An utterance in a cloned voice.

    Attributes:
        index: Index in the batch.
        utterance: The utterance for the base.
        source: Tone colour of the base's speaker.
        target: Tone colour of the cloned voice.
        heard: The base's speech so far.
        speech: The base's outcome; ``None`` until it has ended.
    """

    index: int
    utterance: Utterance
    source: ToneColour
    target: ToneColour
    heard: list[Pcm] = field(default_factory=list[Pcm])
    speech: Speech | None = None


class OpenVoiceEngine:
    """OpenVoice V2: MyShell's tone colour converter over a base voice.

    Args:
        config: The engine's settings; ``model_path`` is the folder with MyShell's ``config.json`` and
            ``checkpoint.pth``, ``options`` are as in :class:`OpenVoiceOptions`.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._options = OpenVoiceOptions.model_validate(config.options)
        self._base = _base_voice(config, self._options)
        self._changing = asyncio.Lock()
        self._measuring = asyncio.Lock()
        self._machine: Machine | None = None
        self._model: str | None = None
        self._sources: LRUCache[Hashable, ToneColour] = LRUCache(SPEAKERS)

    @property
    def name(self) -> str:
        """The configured name."""
        return self._config.name

    @property
    def sample_rate(self) -> int:
        """Sample rate of the converter: 22.05 kHz."""
        return SAMPLE_RATE

    @property
    def languages(self) -> Sequence[str]:
        """Languages of the base voice."""
        return self._base.languages

    @property
    def capabilities(self) -> Capabilities:
        """Clones and streams; word timings and speeds are those of the base voice."""
        base = self._base.capabilities
        return Capabilities(
            word_timings=base.word_timings,
            speed_range=base.speed_range,
            max_chars=min(base.max_chars, MAX_CHARS),
            deterministic=base.deterministic,
        )

    @property
    def license(self) -> str:
        """Licences of MyShell's weights and of the base voice."""
        return " AND ".join(dict.fromkeys(["MIT", self._base.license]))

    @property
    def voice_model(self) -> str:
        """Name of the model, with a fingerprint of its files; independent of the base voice."""
        if self._model is not None:
            return self._model
        with contextlib.suppress(EngineUnavailable):
            return f"{_MODEL}/{fingerprint(converter_folder(self._config.model_path))}"
        return _MODEL

    @property
    def memory_needed(self) -> int:
        """Estimated bytes, from the size of the weights."""
        with contextlib.suppress(EngineUnavailable, OSError):
            size = (converter_folder(self._config.model_path) / WEIGHTS).stat().st_size
            return _LIBRARIES + _COPIES * size
        return _LIBRARIES

    def voices(self) -> Sequence[Voice]:
        """The base's own voices, which are not converted."""
        return self._base.voices()

    async def load(self) -> None:
        """Read the weights and start the base voice.

        Raises:
            EngineUnavailable: Something is missing or damaged; the message says what, and what to do.
        """
        async with self._changing:
            if self._machine is not None:
                return
            self._check_base_voice()
            machine = await asyncio.to_thread(self._read)
            try:
                await self._base.load()
            except BaseException:
                await asyncio.to_thread(machine.close)
                raise
            self._machine = machine

    async def close(self) -> None:
        """Unload the weights and close the base voice."""
        async with self._changing:
            machine, self._machine, self._model = self._machine, None, None
            self._sources.clear()
            await self._base.close()
            if machine is not None:
                await asyncio.to_thread(machine.close)

    async def warm_up(self) -> None:
        """Convert noise, since torch compiles its kernels on first use.

        Raises:
            EngineUnavailable: The conversion does not work.
        """
        machine = self._loaded()
        noise = np.random.default_rng(0).normal(0, 0.1, _WARM_SECONDS * SAMPLE_RATE).astype(np.float32)
        colour = await machine.embed(noise)
        row = Row(samples=noise, source=colour, target=colour)
        async with aclosing(machine.convert([row], lambda _: False)) as items:
            async for _, heard, _ in items:
                if isinstance(heard, EngineError):
                    raise EngineUnavailable(heard.message)

    def batch_key(self, utterance: Utterance) -> Hashable:
        """Converted and plain utterances do not share batches."""
        return utterance.prepared is None

    async def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
        """Speak a batch: the base's speech is converted together, and yielded piece by piece.

        Raises:
            EngineUnavailable: The engine is not loaded.
        """
        machine = self._loaded()
        jobs: dict[int, _Job] = {}
        said: list[tuple[int, Utterance]] = []
        for index, utterance in enumerate(batch):
            try:
                job = await self._job(machine, index, utterance)
            except EngineError as error:
                yield index, error
                continue
            if job is not None:
                jobs[index] = job
            said.append((index, job.utterance if job else utterance))
        if said:
            async with aclosing(self._spoken(machine, said, jobs)) as items:
                async for item in items:
                    yield item

    async def prepare_voice(self, samples: Sequence[ReferenceSample]) -> VoiceEmbeddingRef:
        """Compute the mean tone colour of the samples, and their pitch.

        Raises:
            UnsupportedUtterance: The samples cannot be used; the message says why.
            EngineUnavailable: The engine is not loaded.
        """
        machine = self._loaded()
        heard, pitch = await asyncio.to_thread(signals, samples)
        colours = [await machine.embed(signal) for signal in heard]
        tensors = {
            _COLOUR: np.stack(colours).mean(axis=0).astype(np.float32),
            _PITCH: np.array([pitch], np.float32),
        }
        return VoiceEmbeddingRef(engine=self.name, model=self.voice_model, tensors=tensors)

    def _read(self) -> "Machine":
        folder = converter_folder(self._config.model_path)
        model = f"{_MODEL}/{fingerprint(folder)}"
        try:
            from engines.openvoice.machine import load_machine  # noqa: PLC0415 - imports torch
        except ImportError as error:
            raise EngineUnavailable(
                f"OpenVoice needs torch ({error}). Run `pip install 'awaaztwin[openvoice]'`.",
                retry_after=60.0,
            ) from error
        machine = load_machine(folder, self._config.device, self._options)
        self._model = model
        return machine

    def _check_base_voice(self) -> None:
        voice = self._options.base_voice
        if voice is None:
            return
        try:
            self._base.speaker(Utterance(text="", voice=voice, language=next(iter(self.languages), "en")))
        except UnsupportedUtterance as error:
            message = f"The option base_voice is {voice!r}, and the base has no such voice."
            raise EngineUnavailable(message, retry_after=60.0) from error

    def _loaded(self) -> "Machine":
        if self._machine is None:
            raise EngineUnavailable("The engine is not loaded.")
        return self._machine

    async def _job(self, machine: "Machine", index: int, utterance: Utterance) -> _Job | None:
        """Create the job that converts an utterance; ``None`` if the base speaks it unconverted."""
        most = self.capabilities.max_chars
        if len(utterance.text) > most:
            message = f"The text is {len(utterance.text)} characters long; OpenVoice accepts at most {most}."
            raise UnsupportedUtterance(message, param="input")
        if utterance.prepared is None:
            return None
        target = self._target(utterance.prepared, machine.colours)
        voice = self._options.base_voice or self._base.voice_near(target.pitch, utterance.language)
        spoken = replace(utterance, voice=voice, prepared=None)
        return _Job(index, spoken, await self._source(machine, spoken), target.colour)

    def _target(self, prepared: VoiceEmbeddingRef, colours: int) -> _Target:
        check_model(prepared, self.voice_model)
        colour = prepared.tensors.get(_COLOUR)
        pitch = prepared.tensors.get(_PITCH, np.zeros(1, np.float32))
        sound = (
            colour is not None
            and colour.shape == (colours,)
            and pitch.shape == (1,)
            and bool((np.abs(colour) < _LARGEST).all())
        )
        if colour is None or not sound:
            raise UnsupportedUtterance(
                f"The prepared voice is damaged: {_COLOUR!r} is invalid.", param="voice"
            )
        hertz = float(pitch[0])
        return _Target(colour, hertz if _HERTZ[0] < hertz < _HERTZ[1] else 0.0)

    async def _source(self, machine: "Machine", utterance: Utterance) -> ToneColour:
        """Return the tone colour of the base's speaker of ``utterance``, measured if it is not cached."""
        speaker = self._base.speaker(utterance)
        async with self._measuring:
            colour = self._sources.get(speaker)
            if colour is None:
                colour = await self._base.tone_colour(utterance)
                if colour is None:
                    colour = await self._measured(machine, utterance)
                if colour.shape != (machine.colours,):
                    raise EngineUnavailable("The base voice's tone colour belongs to another converter.")
                self._sources[speaker] = colour
            return colour

    async def _measured(self, machine: "Machine", utterance: Utterance) -> ToneColour:
        script = [
            Utterance(text=text, voice=utterance.voice, language=utterance.language, seed=0)
            for text in reading_script(utterance.language)[:_READ]
        ]
        outcomes = await collect(self._base.stream(script), len(script))
        for outcome in outcomes:
            if isinstance(outcome, EngineError):
                raise outcome
        return await machine.embed(
            to_signal(np.concatenate([o.pcm for o in outcomes if isinstance(o, Speech)]))
        )

    async def _spoken(
        self, machine: "Machine", said: Sequence[tuple[int, Utterance]], jobs: dict[int, _Job]
    ) -> AsyncGenerator[Streamed, None]:
        """Yield the base's speech, converted or not; the base continues while a part is converted."""
        queue: asyncio.Queue[Streamed | None] = asyncio.Queue(PARTS_AHEAD)
        speaking = asyncio.create_task(self._say(said, queue))
        ready: list[_Job] = []
        try:
            going_on = True
            while going_on:
                item = await queue.get()
                going_on = item is not None
                if item is not None:
                    index, heard = item
                    job = jobs.get(index)
                    if job is None or isinstance(heard, EngineError):
                        yield item
                    elif isinstance(heard, Speech):
                        job.heard.append(heard.pcm)
                        job.speech = replace(heard, pcm=heard.pcm[:0])
                        ready.append(job)
                    else:
                        job.heard.append(heard)
                if ready and (queue.empty() or not going_on):
                    async with aclosing(self._converted(machine, ready)) as items:
                        async for converted in items:
                            yield converted
                    ready.clear()
            await speaking
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)

    async def _say(
        self, said: Sequence[tuple[int, Utterance]], queue: asyncio.Queue[Streamed | None]
    ) -> None:
        """Run the base, and put its items into the queue, followed by ``None``."""
        places = [index for index, _ in said]
        try:
            async with aclosing(self._base.stream([utterance for _, utterance in said])) as items:
                async for place, item in items:
                    await queue.put((places[place], item))
        except Exception:  # the reader waits for the end; after a cancellation, there is no reader
            await queue.put(None)
            raise
        await queue.put(None)

    async def _converted(self, machine: "Machine", jobs: Sequence[_Job]) -> AsyncGenerator[Streamed, None]:
        """Convert the speech of jobs, and end their utterances."""
        rows = [
            Row(
                samples=to_signal(np.concatenate(job.heard)),
                source=job.source,
                target=job.target,
                seed=job.utterance.seed or 0,
            )
            for job in jobs
        ]
        stream = machine.convert(rows, lambda place: jobs[place].utterance.abandoned())
        async with aclosing(stream) as items:
            async for place, heard, last in items:
                job = jobs[place]
                if isinstance(heard, EngineError):
                    yield job.index, heard
                    continue
                yield job.index, heard
                if last:
                    yield job.index, job.speech or Speech(pcm=heard[:0])


def _base_voice(config: EngineConfig, options: OpenVoiceOptions) -> BaseVoice:
    if options.base_path is None:
        return EmbeddedVoice(config)
    from engines.openvoice.melo.voice import MeloVoice  # noqa: PLC0415 - only where it is used

    return MeloVoice(
        options.base_path, device=config.device, precision=options.precision, threads=options.threads
    )
