"""How words are said, asked of eSpeak NG in a process of its own."""

import asyncio
import contextlib
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from engines.contract import EngineUnavailable
from engines.openvoice.melo.arpabet import from_ipa

ANSWER_SECONDS: Final = 10.0
"""A start takes 0.1 s, a word 20 µs; this is for a machine on its knees."""
MEMORY: Final = 20_000
"""Words whose phones are kept."""
WORDS: Final = 1_000
"""In one question; an utterance has fewer."""
_ARTICLE: Final = {"a": ("AH0",)}
"""Said alone, eSpeak NG takes it for the letter."""
_LOADER: Final = "espeakng_loader"
_LIBRARIES: Final = ("libespeak-ng.so", "libespeak-ng.dylib", "espeak-ng.dll")
_PASSED_ON: Final = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_PROGRAM: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from engines.openvoice.melo.phonemizer_worker import main; main(*sys.argv[2:])"
)
_LINE: Final = 1 << 20


class Phonemizer:
    """Words to phones; the process starts at the first word and again when it was lost."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._asking = asyncio.Lock()
        self._known: dict[str, tuple[str, ...]] = {}

    async def phones(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """ARPAbet of each word, empty for what cannot be said.

        Args:
            words: In lower case, without white space, :data:`WORDS` at most.

        Raises:
            EngineUnavailable: eSpeak NG is not installed, or was lost.
        """
        async with self._asking:
            new = list(dict.fromkeys(word for word in words if word not in self._known))[:WORDS]
            if new:
                said = await self._ask(new)
                known = {
                    word: _ARTICLE.get(word) or from_ipa(ipa) for word, ipa in zip(new, said, strict=True)
                }
                answer = [known.get(word) or self._known.get(word, ()) for word in words]
                self._known |= known
                for word in list(self._known)[: len(self._known) - MEMORY]:
                    del self._known[word]
                return answer
            return [self._known[word] for word in words]

    async def close(self) -> None:
        """End the process. Never raises; safe to repeat."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                await process.communicate()  # closes the pipes too

    async def _ask(self, words: Sequence[str]) -> list[str]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                process = self._process or await self._start()
                return await _answer(process, words)
        except (OSError, ValueError, TimeoutError) as error:
            await self.close()
            raise EngineUnavailable(f"eSpeak NG, which says how words sound, was lost: {error}.") from error
        except BaseException:
            await self.close()  # what it says next would be the answer to this
            raise

    async def _start(self) -> asyncio.subprocess.Process:
        spec = importlib.util.find_spec(_LOADER)
        folder = Path(spec.origin).parent if spec and spec.origin else None
        library = folder and next((path for name in _LIBRARIES if (path := folder / name).is_file()), None)
        if folder is None or library is None:
            raise EngineUnavailable(
                "The package espeakng-loader, which brings eSpeak NG, is not installed. "
                "Run `pip install 'awaaztwin[server]'`.",
                retry_after=60.0,
            )
        root = Path(__file__).parents[3]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            # isolated, and without site-packages: it needs nothing but the standard library
            *("-I", "-S", "-c", _PROGRAM, str(root), str(library), str(folder), str(os.getpid())),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            limit=_LINE,
        )
        self._process = process
        greeting: Any = await _answer(process)
        if "error" in greeting:
            raise OSError(greeting["error"])
        return process


async def _answer(process: asyncio.subprocess.Process, words: Sequence[str] | None = None) -> Any:  # noqa: ANN401 - JSON
    """What the process says next; to ``words``, or by itself."""
    if words is not None and process.stdin is not None:
        process.stdin.write(json.dumps(words).encode() + b"\n")
        await process.stdin.drain()
    line = await process.stdout.readline() if process.stdout else b""
    if not line:
        raise OSError("it ended")
    return json.loads(line)
