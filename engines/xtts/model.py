"""A loaded model, ready to speak: decoder, vocoder, text encoder and their threads."""

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from engines.config import Device
from engines.contract import (
    EngineUnavailable,
    Outcome,
    Pcm,
    ReferenceSample,
    UnsupportedUtterance,
    Utterance,
    VoiceEmbeddingRef,
)
from engines.fidelity import FIDELITY
from engines.hardware import choose_device, cores
from engines.xtts.checkpoint import Checkpoint, load_checkpoint
from engines.xtts.conditioning import Conditioning, condition
from engines.xtts.decoder import Decoder
from engines.xtts.device import FALLBACKS, decoder_precision, vocoder_precision
from engines.xtts.options import XttsOptions
from engines.xtts.precision import Precision
from engines.xtts.sampling import Sampling
from engines.xtts.self_check import compare, heard
from engines.xtts.sentence import Sentence
from engines.xtts.speaker_file import load_speakers
from engines.xtts.synthesis import Synthesis
from engines.xtts.text import TextEncoder
from engines.xtts.vocoder import Vocoder

logger = logging.getLogger(__name__)

CPU_SLOTS: Final = 8
"""Number of concurrent sentences on the CPU: with more, each is slower than real time, for little gain."""

GPU_SLOTS: Final = 32
"""Number of concurrent sentences on a GPU; each takes some 130 MB for keys and values in half precision."""


RETRIES: Final = 1
"""Maximum number of retries of a defective sentence, while no client has heard any of it."""


@dataclass(frozen=True, slots=True)
class _Parts:
    decoder: Decoder
    vocoder: Vocoder
    slots: int


class XttsModel:
    """A model in memory. Create it with :meth:`load`; :meth:`close` ends its threads.

    Args:
        checkpoint: The loaded files; the transformer's matrices are freed, since the decoder has its own.
        parts: Decoder, vocoder and number of slots.
        options: The engine's options.
        speakers: Voices that came with the model, by name and alias.
        name: Model name of the voices that it prepares; see ``CloningEngine.voice_model``.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        parts: _Parts,
        options: XttsOptions,
        *,
        speakers: Mapping[str, Conditioning],
        name: str,
    ) -> None:
        self.checkpoint = checkpoint
        self._speakers = speakers
        self.device = parts.decoder.device
        self.precision = parts.decoder.precision
        self.vocoder_precision = parts.vocoder.precision
        self._name = name
        self._options = options
        self._chance = random.SystemRandom()
        self._text = TextEncoder(checkpoint.tokenizer, checkpoint.languages, checkpoint.shape.max_text)
        shape = checkpoint.shape
        self._token_samples = shape.code_stride * shape.output_rate / shape.input_rate
        gpt: Any = checkpoint.gpt
        gpt.gpt.h = nn.ModuleList()
        self._vocoder = parts.vocoder
        self._renderers = options.renderers or (cores() if self.device.type == "cpu" else 1)
        self._synthesis = Synthesis(
            parts.decoder,
            parts.vocoder,
            slots=parts.slots,
            renderers=self._renderers,
            prefix_bytes=options.voice_bytes,
        )

    @classmethod
    def load(cls, folder: Path, options: XttsOptions, *, device: Device, name: str) -> "XttsModel":
        """Load the checkpoint in ``folder``; blocks for seconds.

        Raises:
            EngineUnavailable: A file or the device is not usable; the message says which.
        """
        chosen = choose_device(device)
        if chosen.type == "cpu":
            torch.set_num_threads(cores())  # for loading; the threads that speak use one core each
        checkpoint = load_checkpoint(folder)
        try:
            parts = _parts(checkpoint, options, chosen)
        except torch.OutOfMemoryError as error:
            if not options.cpu_fallback or device not in {"auto", "cpu"}:
                raise EngineUnavailable(f"The {chosen.type} device has too little memory.") from error
            logger.warning("too little memory on %s; continuing on the CPU", chosen)
            torch.cuda.empty_cache()
            parts = _parts(checkpoint, options, torch.device("cpu"))
        return cls(checkpoint, parts, options, speakers=load_speakers(folder, checkpoint.shape), name=name)

    @property
    def slots(self) -> int:
        """Number of concurrent sentences; it decreases when memory runs out."""
        return self._synthesis.slots

    def submit(self, utterance: Utterance, emit: Callable[[Pcm | Outcome], None]) -> None:
        """Speak an utterance; other threads pass its PCM and finally the outcome to ``emit``.

        Raises:
            EngineError: The text cannot be spoken, or the model is closed.
        """
        voice = self._voice(utterance)
        tokens = self._text.encode(utterance.text, utterance.language)
        self._synthesis.submit(
            Sentence(
                text=utterance.text,
                tokens=tokens,
                voice=utterance.voice,
                latents=voice.latents[0],
                speaker=voice.speaker[0].to(self.device),
                sampling=self._sampling(utterance.seed),
                speed=utterance.speed,
                token_samples=self._token_samples / utterance.speed,
                checked=self._options.check,
                retries=RETRIES if utterance.seed is None else 0,
                emit=emit,
                abandoned=utterance.abandoned,
                awaited=utterance.awaited,
            )
        )

    def prepare(
        self, engine: str, samples: Sequence[ReferenceSample], abandoned: Callable[[], bool]
    ) -> VoiceEmbeddingRef:
        """Prepare a voice from recordings; blocking.

        Raises:
            EngineError: The recordings cannot be used, or the preparation was abandoned.
        """
        voice = condition(self.checkpoint, samples, abandoned=abandoned)
        return VoiceEmbeddingRef(engine=engine, model=self._name, tensors=voice.to_tensors())

    def forget(self, voice: str) -> None:
        """Remove the cached data of a voice."""
        self._synthesis.forget(voice)

    def warm_up(self) -> None:
        """Compile the kernels for every shape, so that no sentence waits for that. Blocking.

        Raises:
            EngineUnavailable: The model cannot speak.
        """
        self._synthesis.warm_up()
        if self.device.type == "cpu":
            # Kernels are specific to the number of threads, and a renderer has one.
            with ThreadPoolExecutor(
                self._renderers, initializer=torch.set_num_threads, initargs=(1,)
            ) as pool:
                list(pool.map(self._vocoder.render, ([shape] for shape in self._vocoder.every_shape())))

    def close(self) -> None:
        """End the threads; running utterances end with ``EngineUnavailable``. Blocking."""
        self._synthesis.close()

    def _voice(self, utterance: Utterance) -> Conditioning:
        if utterance.prepared is not None:
            return Conditioning.from_prepared(
                utterance.prepared, model=self._name, shape=self.checkpoint.shape
            )
        if (speaker := self._speakers.get(utterance.voice)) is None:
            raise UnsupportedUtterance(
                f"There is no voice {utterance.voice!r}. XTTS speaks in voices made from recordings, and in "
                "the speakers of speakers_xtts.pth where the model's folder has that file.",
                param="voice",
            )
        return speaker

    def _sampling(self, seed: int | None) -> Sampling:
        options, settings, shape = self._options, self.checkpoint.settings, self.checkpoint.shape

        def chosen(own: float | None, usual: float) -> float:
            return usual if own is None else own

        return Sampling(
            greedy=options.greedy,
            temperature=chosen(options.temperature, settings.temperature),
            top_k=int(chosen(options.top_k, settings.top_k)),
            top_p=chosen(options.top_p, settings.top_p),
            repetition_penalty=chosen(options.repetition_penalty, settings.repetition_penalty),
            min_tokens=min(options.min_tokens, shape.max_audio),
            max_tokens=min(options.max_tokens or shape.max_audio, shape.max_audio),
            # Without a requested seed, use a random one, so that a restarted sentence is the same again.
            seed=self._chance.randrange(1 << 62) if seed is None else seed,
        )


def _parts(checkpoint: Checkpoint, options: XttsOptions, device: torch.device) -> _Parts:
    slots = options.slots or (CPU_SLOTS if device.type == "cpu" else GPU_SLOTS)
    wanted = decoder_precision(options.precision, device)
    for precision in FALLBACKS[wanted]:
        decoder, had = _decoder(checkpoint, precision, device, slots)
        if not options.self_check:
            return _Parts(decoder, _vocoder(checkpoint, options, device, None), had)
        agreement, latents = compare(checkpoint, decoder)
        if agreement.close or precision is Precision.FP32:
            return _Parts(decoder, _vocoder(checkpoint, options, device, latents), had)
        logger.warning("%s is too far from fp32 on these weights", precision)
        del decoder
    raise AssertionError("fp32 is always among the choices")


def _decoder(
    checkpoint: Checkpoint, precision: Precision, device: torch.device, slots: int
) -> tuple[Decoder, int]:
    """Create a decoder with ``slots`` slots, halved until they fit in memory."""
    while True:
        try:
            decoder = Decoder(
                checkpoint.gpt, checkpoint.shape, slots=slots, precision=precision, device=device
            )
        except torch.OutOfMemoryError:
            if slots == 1:
                raise
            torch.cuda.empty_cache()
            slots //= 2
        else:
            return decoder, slots


def _vocoder(
    checkpoint: Checkpoint, options: XttsOptions, device: torch.device, latents: list[torch.Tensor] | None
) -> Vocoder:
    precision = vocoder_precision(options.vocoder_precision, device)
    vocoder = Vocoder(checkpoint.hifi, precision=precision, device=device)
    if latents is None or precision is Precision.FP32:
        return vocoder
    exact = Vocoder(checkpoint.hifi, precision=Precision.FP32, device=device)
    if heard(checkpoint, latents, vocoder, exact) >= FIDELITY:
        return vocoder
    logger.warning("the vocoder in %s is too far from fp32 on these weights", precision)
    return exact
