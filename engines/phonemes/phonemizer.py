"""Pronunciation by eSpeak NG in a separate process."""

import asyncio
import contextlib
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from cachetools import LRUCache

from engines.child import environment
from engines.contract import EngineUnavailable

SEPARATOR: Final = "_"
"""Separates the phonemes of a word; words are separated by spaces."""
ANSWER_SECONDS: Final = 10.0
"""Timeout of an answer in seconds. A start takes 0.1 s, a word 20 µs, except on an overloaded machine."""
MEMORY: Final = 20_000
"""Maximum number of cached texts."""
REMEMBERED: Final = 100
"""Maximum length of a cached text in characters; longer texts rarely recur."""
MAX_TEXT_CHARS: Final = 2_000
"""Maximum length of a text in characters; longer ones are truncated."""
_ROUND: Final = 20_000
"""Maximum number of characters sent at once, so that an answer fits into a line."""
_LINE: Final = 4 << 20
_TRIES: Final = 2
_LOADER: Final = "espeakng_loader"
_LIBRARIES: Final = ("libespeak-ng.so", "libespeak-ng.dylib", "espeak-ng.dll")
_PROGRAM: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from engines.phonemes.worker import main; main(*sys.argv[2:])"
)

Question: TypeAlias = tuple[str, str]
"""The file of a voice (``gmw/en-US``, ``inc/hi``), and a text."""


class Phonemizer:
    """Converts texts to IPA. The process starts at the first question, and again after an exit or close.

    Questions of concurrent tasks are sent one after another. A question is retried once if the process exits,
    unless it was closed.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._asking = asyncio.Lock()
        self._known: LRUCache[Question, str] = LRUCache(MEMORY)
        self._last_id = 0
        self._closings = 0

    @property
    def pid(self) -> int | None:
        """Process ID; ``None`` if the process is not running."""
        return self._process.pid if self._process else None

    async def ipa(self, questions: Sequence[Question]) -> list[str]:
        """Return the IPA of each text, with :data:`SEPARATOR` between phonemes and spaces between words.

        Raises:
            EngineUnavailable: eSpeak NG is not installed, exited twice, was closed, or lacks the voice.
        """
        questions = [(voice, text[:MAX_TEXT_CHARS]) for voice, text in questions]
        if not all(question in self._known for question in questions):
            closings = self._closings
            async with self._asking:
                return await self._answers(questions, closings)
        return [self._known[question] for question in questions]

    async def close(self) -> None:
        """End the process, and fail waiting questions. Never raises; can be called repeatedly."""
        self._closings += 1
        await self._end()
        # a process that is being started is ended by the question that started it
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS), self._asking:
                pass

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                await process.wait()  # not communicate(): a question may still be reading

    async def _answers(self, questions: Sequence[Question], closings: int) -> list[str]:
        said: dict[Question, str] = {}
        waiting: list[Question] = []
        for question in dict.fromkeys(questions):
            if question in self._known:
                said[question] = self._known[question]
                continue
            if waiting and sum(len(text) for _, text in (*waiting, question)) > _ROUND:
                said |= zip(waiting, await self._ask(waiting, closings), strict=True)
                waiting = []
            waiting.append(question)
        if waiting:
            said |= zip(waiting, await self._ask(waiting, closings), strict=True)
        for question, ipa in said.items():
            if len(question[1]) <= REMEMBERED:
                self._known[question] = ipa
        return [said[question] for question in questions]

    async def _ask(self, questions: Sequence[Question], closings: int) -> list[str]:
        """Send questions and return their answers.

        Args:
            questions: The questions.
            closings: Value of ``_closings`` when they were asked.
        """
        for tries in range(1, _TRIES + 1):
            self._check_open(closings)
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    process = self._process or await self._start(closings)
                    return await self._exchange(process, questions)
            except (OSError, ValueError, TimeoutError) as error:
                await self._end()
                if tries == _TRIES:
                    self._check_open(closings)
                    reason = str(error) or f"did not answer within {ANSWER_SECONDS:g} s"
                    raise EngineUnavailable(f"The phonemizer process {reason}.") from error
        raise AssertionError

    def _check_open(self, closings: int) -> None:
        if closings != self._closings:
            raise EngineUnavailable("The phonemizer was closed.")

    async def _start(self, closings: int) -> asyncio.subprocess.Process:
        spec = importlib.util.find_spec(_LOADER)
        folder = Path(spec.origin).parent if spec and spec.origin else None
        library = folder and next((path for name in _LIBRARIES if (path := folder / name).is_file()), None)
        if folder is None or library is None:
            raise EngineUnavailable(
                "The package espeakng-loader, which contains eSpeak NG, is not installed. "
                "Run `pip install 'awaaztwin[server]'`.",
                retry_after=60.0,
            )
        root = Path(__file__).parents[2]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            # isolated, and without site-packages: it needs only the standard library
            *("-I", "-S", "-c", _PROGRAM, str(root), str(library), str(folder), str(os.getpid())),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment(os.environ),
            limit=_LINE,
        )
        self._process = process
        if closings != self._closings:
            await self._end()
            self._check_open(closings)
        await self._receive(process, 0)
        return process

    async def _exchange(
        self, process: asyncio.subprocess.Process, questions: Sequence[Question]
    ) -> list[str]:
        self._last_id += 1
        asked = {"id": self._last_id, "texts": questions}
        if process.stdin is not None:
            try:
                process.stdin.write(json.dumps(asked).encode() + b"\n")
            except RuntimeError as error:  # raised by uvloop if the pipe's reader is gone
                raise OSError("exited") from error
            await process.stdin.drain()
        return await self._receive(process, self._last_id)

    async def _receive(self, process: asyncio.subprocess.Process, question: int) -> list[str]:
        """Return the answer to a question; skip answers to abandoned questions."""
        while True:
            line = await process.stdout.readline() if process.stdout else b""
            if not line:
                raise OSError("exited")
            answer: Any = json.loads(line)
            if answer["id"] == question:
                if "error" in answer:
                    raise OSError(f"failed: {answer['error']}")
                return answer["ipa"]
