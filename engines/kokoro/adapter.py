"""The engine: Kokoro-82M, with threads that each speak a phrase at a time."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from engines.config import EngineConfig
from engines.contract import (
    Abandoned,
    Capabilities,
    EngineError,
    EngineUnavailable,
    Outcome,
    Speech,
    Streamed,
    Utterance,
    Voice,
    WordTiming,
    synthesize,
)
from engines.kokoro.catalogue import IDS, PACKAGED_IDS, Catalogue, VoiceMix, voice_file
from engines.kokoro.options import KokoroOptions
from engines.kokoro.pronunciation import LANGUAGES, VOCABULARY, Phrase, Pronouncer
from engines.kokoro.rates import SAMPLE_RATE
from engines.model_files import RETRY_SECONDS, check_file, pretends, unreadable
from engines.one_core import use_one_core
from engines.text.pauses import pause_after

if TYPE_CHECKING:
    from engines.kokoro.session import Backend
    from engines.kokoro.speech import Heard
    from engines.kokoro.styles import Styles

SPEED_RANGE: Final = (0.5, 2.0)
"""Speeds that the model itself renders; beyond them the server changes the tempo."""
MAX_CHARS: Final = 400
PHRASE: Final = 200
"""Maximum number of symbols per phrase: 12 s of speech. Near the model's 510, it rushes, and memory grows."""
FIRST_PHRASE: Final = 90
"""Maximum number of symbols in the first phrase, if it can be cut there, so that audio starts sooner."""
TAKEN: Final = 230_000_000
"""Memory of the libraries in bytes, in addition to the weights."""
THREAD_TAKES: Final = 350_000_000
"""Memory of a thread in bytes, for the longest phrase at half speed (21 s); 215 million at normal speed."""
WARM_UP: Final = ("en-US", "This is how it sounds, and it sounds well.")
_NICENESS: Final = 5
_QUICK, _QUICKER = 1.5, 0.3
"""Speed above which the requested speed is increased, and the factor of that increase.

A symbol has a whole number of frames, at least one, so fast speech is slower than requested: by 6 % at twice
the speed, in four voices.
"""
_MODEL_FILE: Final = "model.onnx"


class KokoroEngine:
    """Natural speech in English, Hindi, Spanish, French, Italian and Portuguese, on the CPU.

    Large libraries are imported only when the engine is loaded.

    Args:
        config: The engine's settings. ``model_path`` is the folder with the export;
            ``max_concurrent_jobs`` is the number of threads, each of which speaks one utterance.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._options = KokoroOptions.model_validate(config.options)
        self._catalogue = Catalogue(self._options.voices)
        self._changing = asyncio.Lock()
        self._pronouncer = Pronouncer()
        self._threads: ThreadPoolExecutor | None = None
        self._backend: Backend | None = None
        self._styles: Styles | None = None

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
        """Languages that can be pronounced."""
        return LANGUAGES

    @property
    def capabilities(self) -> Capabilities:
        """Streams a phrase at a time, with word timings. Deterministic."""
        return Capabilities(
            word_timings=True,
            speed_range=SPEED_RANGE,
            max_chars=MAX_CHARS,
            deterministic=True,
            slots=self._config.max_concurrent_jobs,
            ipa=True,
            trimmed=True,
        )

    @property
    def license(self) -> str:
        """Licence of the weights."""
        return "Apache-2.0"

    @property
    def missing(self) -> str | None:
        """What is missing, and how to get it; ``None`` if the export is present."""
        try:
            self._export()
        except EngineUnavailable as error:
            return error.message
        return None

    @property
    def memory_needed(self) -> int:
        """Estimated bytes: the weights as in the file and as packed, and each thread's memory."""
        try:
            threads = self._config.max_concurrent_jobs * THREAD_TAKES
            return TAKEN + threads + 2 * self._export().stat().st_size
        except (EngineUnavailable, OSError):
            return 0

    def voices(self) -> Sequence[Voice]:
        """OpenAI's names, each with a voice per language, and the present ones of the model's own voices."""
        folder = self._config.model_path
        return [
            voice
            for voice in self._catalogue.voices
            if voice.id not in IDS
            or voice.id in PACKAGED_IDS
            or (folder and voice_file(folder, voice.id).is_file())
        ]

    async def load(self) -> None:
        """Load the model, in a thread.

        Raises:
            EngineUnavailable: A library is not installed, or the export is missing or invalid.
        """
        async with self._changing:
            if self._backend is None:
                self._backend, self._styles = await asyncio.to_thread(self._load)
                self._threads = ThreadPoolExecutor(
                    self._config.max_concurrent_jobs,
                    thread_name_prefix=self.name,
                    initializer=step_back if self._options.low_priority else None,
                )

    def _load(self) -> "tuple[Backend, Styles]":
        path = self._export()
        kind = pretends(path)
        if kind is not None:
            raise unreadable(path, f"it is {kind}")
        # Read when libgomp starts; spinning threads would take the Gateway's CPU time.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        try:
            # The libraries are installed with the server, but only this engine needs them.

            from engines.kokoro.backend import open_backend  # noqa: PLC0415
            from engines.kokoro.session import BackendError  # noqa: PLC0415
            from engines.kokoro.styles import Styles  # noqa: PLC0415
        except ImportError as error:
            message = f"{error}. Run `pip install 'awaaztwin[server]'`."
            raise EngineUnavailable(message, retry_after=RETRY_SECONDS) from error
        # Numpy's matrix products also use one core per thread.
        use_one_core()
        try:
            backend = open_backend(path, self._options.backend, self._config.device)
        except BackendError as error:
            raise EngineUnavailable(f"{error}.", retry_after=RETRY_SECONDS) from error
        except ValueError as error:
            raise unreadable(path, str(error)) from error
        return backend, Styles(path.parent)

    async def warm_up(self) -> None:
        """Compile everything that is compiled on first use, in each thread, and start the phonemizer process.

        Raises:
            EngineUnavailable: The model cannot speak.
        """
        language, text = WARM_UP
        utterance = Utterance(text=text, voice="alloy", language=language)
        outcomes = await asyncio.gather(
            *(synthesize(self, [utterance]) for _ in range(self._config.max_concurrent_jobs))
        )
        for (outcome,) in outcomes:
            if isinstance(outcome, EngineError):
                raise EngineUnavailable(outcome.message)

    async def close(self) -> None:
        """Stop speaking, and unload the model."""
        async with self._changing:
            threads, self._threads = self._threads, None
            self._backend = self._styles = None
            if threads is not None:
                await asyncio.to_thread(threads.shutdown)
            await self._pronouncer.close()

    def batch_key(self, utterance: Utterance) -> Hashable:
        """Return ``None``: all utterances can run concurrently."""
        del utterance
        return None

    async def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
        """Speak utterances one after the other, yielding a phrase at a time; calls run concurrently.

        Raises:
            EngineUnavailable: The engine is not loaded.
        """
        if self._backend is None:
            raise EngineUnavailable("The engine is not loaded.")
        for index, utterance in enumerate(batch):
            try:
                async with aclosing(self._speak(utterance)) as items:
                    async for item in items:
                        yield index, item
            except EngineError as error:
                yield index, error

    async def _speak(self, utterance: Utterance) -> "AsyncGenerator[Outcome | np.ndarray, None]":
        """Yield the PCM of an utterance, a phrase at a time, and finally its outcome.

        Raises:
            EngineError: The utterance cannot be spoken.
        """
        casting = self._catalogue.cast(utterance.voice, utterance.language)
        phrases = await self._pronouncer.phrases(
            utterance.text, casting.language, limit=PHRASE, first_limit=FIRST_PHRASE
        )
        words: list[WordTiming] = []
        seconds = 0.0
        for number, phrase in enumerate(phrases, 1):
            if utterance.abandoned():
                raise Abandoned("The utterance was abandoned.")
            heard = await self._in_thread(phrase, casting, utterance.speed)
            for word in heard.words:
                if words and words[-1].offset == word.offset:  # the rest of a word that was split
                    words[-1] = replace(words[-1], end=word.end + seconds)
                else:
                    words.append(replace(word, start=word.start + seconds, end=word.end + seconds))
            pcm = heard.pcm
            if number < len(phrases):
                pause = np.zeros(round(pause_after(phrase.symbols) / utterance.speed * SAMPLE_RATE), np.int16)
                pcm = np.concatenate([pcm, pause])
            seconds += pcm.size / SAMPLE_RATE
            yield pcm
        timings = tuple(words) if utterance.timings else ()
        yield Speech(pcm=np.zeros(0, np.int16), words=timings)

    async def _in_thread(self, phrase: Phrase, casting: VoiceMix, speed: float) -> "Heard":
        backend, styles, threads = self._backend, self._styles, self._threads
        if backend is None or styles is None or threads is None:
            raise EngineUnavailable("The engine is shutting down.")
        try:
            spoken = threads.submit(_say, backend, styles, phrase, casting, speed)
        except RuntimeError as error:  # the threads were shut down in between
            raise EngineUnavailable("The engine is shutting down.") from error
        return await asyncio.wrap_future(spoken)

    def _export(self) -> Path:
        """Return the path of the export.

        Raises:
            EngineUnavailable: The export is missing; the message says how to get it.
        """
        folder = self._config.model_path
        if folder is None:
            raise EngineUnavailable(
                f"The engine {self.name} needs `model_path`: the folder with Kokoro's {_MODEL_FILE}.",
                retry_after=RETRY_SECONDS,
            )
        try:
            path = self._found(folder)
        except OSError as error:
            raise EngineUnavailable(
                f"{folder} cannot be read: {error.strerror or error}.", retry_after=RETRY_SECONDS
            ) from error
        check_file(path)
        return path

    def _found(self, folder: Path) -> Path:
        named = self._options.model_file
        path = folder / (named or _MODEL_FILE)
        if named is not None or path.is_file():
            return path
        others = sorted(folder.glob("*.onnx")) if folder.is_dir() else []
        if not others:
            raise EngineUnavailable(
                f"{folder} has no {_MODEL_FILE}. `awaaztwin models pull kokoro` fetches Kokoro's into "
                "the folder that `awaaztwin models path kokoro` prints.",
                retry_after=RETRY_SECONDS,
            )
        return others[0] if len(others) == 1 else path


def _say(backend: "Backend", styles: "Styles", phrase: Phrase, casting: VoiceMix, speed: float) -> "Heard":
    """Speak a phrase, in one of the engine's threads."""
    from engines.kokoro.session import BackendError  # noqa: PLC0415 - as in _load
    from engines.kokoro.speech import finish  # noqa: PLC0415

    style = styles.style(casting.mix, len(phrase.symbols))
    asked = speed + _QUICKER * max(0.0, speed - _QUICK)
    symbols = [VOCABULARY[symbol] for symbol in phrase.symbols]
    try:
        return finish(backend.speak(symbols, style, asked), phrase)
    except BackendError as error:
        raise EngineUnavailable(str(error)) from error


def step_back() -> None:
    """Lower this thread's priority; Linux has priorities per thread."""
    if sys.platform == "linux":
        # Relative, since the whole process may have a low priority, which cannot be raised.
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS)
