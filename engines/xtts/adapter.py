"""The engine: XTTS-v2, and its fine-tunes for Hindi."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engines.config import EngineConfig
from engines.contract import (
    Abandoned,
    Capabilities,
    EngineError,
    EngineUnavailable,
    Outcome,
    Pcm,
    ReferenceSample,
    Speech,
    Streamed,
    Utterance,
    Voice,
    VoiceEmbeddingRef,
)
from engines.xtts.configuration import read_configuration
from engines.xtts.folder import fingerprint, weights_file
from engines.xtts.languages import MAX_CHARS, MAX_CHARS_BY_LANGUAGE, available
from engines.xtts.options import XttsOptions
from engines.xtts.speakers import speakers

if TYPE_CHECKING:
    from engines.xtts.model import XttsModel

SAMPLE_RATE: Final = 24_000
"""Sample rate of XTTS-v2's vocoder, in hertz."""

SPEED_RANGE: Final = (0.7, 1.5)
"""Rates at which stretched latents still sound like the voice; beyond it the server changes the tempo."""

SLOTS: Final = 8
"""Concurrent utterances before the device is known."""

USUAL_LANGUAGES: Final = (
    "en", "es", "fr", "de", "it", "pt", "pl", "tr", "ru", "nl", "cs", "ar", "zh-cn", "hu", "ko", "ja", "hi",
)  # fmt: skip
"""Languages of XTTS-v2, used while the model's own configuration cannot be read."""

TAKEN: Final = 2_300_000_000
"""Maximum memory of torch, coqui-tts and the sentences in the slots, in bytes, in addition to the weights."""


class XttsEngine:
    """XTTS-v2: sentences of all callers decoded together, in voices cloned from recordings.

    Torch is imported only when the engine is loaded.

    Args:
        config: The engine's settings. ``model_path`` is the folder with the model's files.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._options = XttsOptions.model_validate(config.options)
        self._changing = asyncio.Lock()
        self._preparing = asyncio.Lock()  # it keeps cores busy for seconds
        self._model: XttsModel | None = None

    @property
    def name(self) -> str:
        """The configured name."""
        return self._config.name

    @property
    def sample_rate(self) -> int:
        """Sample rate: 24 kHz."""
        return SAMPLE_RATE

    @property
    def languages(self) -> Sequence[str]:
        """Languages in the model's configuration whose libraries are installed."""
        return self._languages

    @property
    def capabilities(self) -> Capabilities:
        """Clones and streams. Not deterministic without a seed."""
        return Capabilities(
            speed_range=SPEED_RANGE,
            max_chars=MAX_CHARS,
            max_chars_by_language=MAX_CHARS_BY_LANGUAGE,
            slots=self._model.slots if self._model is not None else self._options.slots or SLOTS,
        )

    @property
    def license(self) -> str:
        """Licence of the weights."""
        return "CPML"

    @property
    def license_notice(self) -> str:
        """The restriction of the licence."""
        return (
            "The Coqui Public Model License, under which XTTS-v2 and its fine-tunes are published, allows "
            "non-commercial use only, of the model and of its speech."
        )

    @property
    def memory_needed(self) -> int:
        """Estimated bytes: half the size of the weights' file, for the packed weights, plus :data:`TAKEN`."""
        with contextlib.suppress(EngineUnavailable, OSError):
            return TAKEN + weights_file(self._folder).stat().st_size // 2
        return 0

    @property
    def voice_model(self) -> str:
        """Identifier of the model that voices are prepared for; changes with the weights."""
        try:
            return f"xtts/1 ({fingerprint(self._folder)})"
        except (EngineUnavailable, OSError):
            return "xtts/1"

    def voices(self) -> Sequence[Voice]:
        """The speakers that came with the model, if any; prepared voices are not listed."""
        return self._speakers

    async def load(self) -> None:
        """Load the model, in a thread.

        Raises:
            EngineUnavailable: coqui-tts is not installed, or a file is invalid.
        """
        async with self._changing:
            if self._model is None:
                self._model = await asyncio.to_thread(self._load)

    def _load(self) -> "XttsModel":
        # Read when torch starts: idle threads then sleep. With busy waiting, they took seven times as long
        # next to other work.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        # Number of cached oneDNN kernels, some 0.2 MB each; enough for all shapes.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "2048")
        try:
            from engines.xtts.model import XttsModel  # noqa: PLC0415 - torch, only where and when it is needed
        except ImportError as error:
            message = f"{error}. Run `pip install 'awaaztwin[xtts]'`."
            raise EngineUnavailable(message, retry_after=60.0) from error
        return XttsModel.load(self._folder, self._options, device=self._config.device, name=self.voice_model)

    async def warm_up(self) -> None:
        """Compile everything that is compiled on first use, so that no client's first sentence waits for it.

        Raises:
            EngineUnavailable: The model cannot speak.
        """
        if self._model is not None:
            await asyncio.to_thread(self._model.warm_up)

    async def close(self) -> None:
        """Stop speaking, and unload the model."""
        async with self._changing:
            model, self._model = self._model, None
            if model is not None:
                await asyncio.to_thread(model.close)

    def batch_key(self, utterance: Utterance) -> Hashable:
        """Return ``None``: all utterances can be decoded together."""
        del utterance
        return None

    async def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
        """Speak utterances together with those of all other calls.

        Raises:
            EngineUnavailable: The engine is not loaded.
        """
        model = self._model
        if model is None:
            raise EngineUnavailable("The engine is not loaded.")
        said: asyncio.Queue[Streamed] = asyncio.Queue()
        left = False
        loop = asyncio.get_running_loop()

        def emitter(index: int) -> Callable[[Pcm | Outcome], None]:
            def emit(item: Pcm | Outcome) -> None:
                with contextlib.suppress(RuntimeError):  # the loop has ended, and so have the readers
                    loop.call_soon_threadsafe(said.put_nowait, (index, item))

            return emit

        def abandons(utterance: Utterance) -> Callable[[], bool]:
            return lambda: left or utterance.abandoned()

        try:
            for index, utterance in enumerate(batch):
                try:
                    if utterance.abandoned():
                        raise Abandoned("The utterance was abandoned.")
                    watched = replace(utterance, abandoned=abandons(utterance))
                    model.submit(watched, emitter(index))
                except EngineError as error:
                    said.put_nowait((index, error))
            open_ = len(batch)
            while open_:
                index, item = await said.get()
                open_ -= isinstance(item, Speech | EngineError)
                yield index, item
        finally:
            left = True

    async def prepare_voice(self, samples: Sequence[ReferenceSample]) -> VoiceEmbeddingRef:
        """Compute the voice's prompt for the decoder and embedding for the vocoder; one voice at a time.

        Raises:
            UnsupportedUtterance: The samples cannot be used; the message says why.
            EngineUnavailable: The engine is not loaded.
        """
        left = False
        async with self._preparing:
            model = self._model
            if model is None:
                raise EngineUnavailable("The engine is not loaded.")
            try:
                return await asyncio.to_thread(model.prepare, self.name, samples, lambda: left)
            finally:
                left = True

    def forget_voice(self, voice: str) -> None:
        """Remove cached data of a prepared voice."""
        if self._model is not None:
            self._model.forget(voice)

    @property
    def _folder(self) -> Path:
        if self._config.model_path is None:
            raise EngineUnavailable(
                f"The engine {self.name} needs `model_path`: the folder with config.json, model.pth and "
                "vocab.json of XTTS-v2 or of a fine-tune of it.",
                retry_after=60.0,
            )
        return self._config.model_path

    @cached_property
    def _languages(self) -> Sequence[str]:
        try:
            return available(read_configuration(self._folder).languages)
        except EngineUnavailable:
            return available(USUAL_LANGUAGES)

    @cached_property
    def _speakers(self) -> Sequence[Voice]:
        with contextlib.suppress(EngineUnavailable):
            return speakers(self._folder)
        return ()
