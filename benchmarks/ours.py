"""The project's own engine in a process of its own: behind its lease and its batcher, as a runner has it, without HTTP."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import psutil

from engines.batcher import Batcher
from engines.config import EngineConfig
from engines.contract import CloningEngine, EngineError, ReferenceSample, Utterance, VoiceEmbeddingRef
from engines.lease import ModelLease
from engines.memory import trim
from engines.registry import get_engine_adapter

from spoken import RATE, TEXTS, Spoken, quantile, recording

NAME: Final = "XTTS_HI"
HINDI: Final = (
    "नमस्ते।",
    "यह एक परीक्षण है और यह वाक्य लंबा है।",
    "कल सुबह नौ बजे गाड़ी चलेगी, इसलिए समय पर आइए।",
)
MANY_CALLERS: Final = 16
VOICES: Final = 4


def engine_settings(folder: str, device: str, options: dict[str, Any], *, batch: int = 16) -> dict[str, Any]:
    """The entry of ``engines`` in the configuration that serves a checkpoint.

    Args:
        folder: The checkpoint's.
        device: ``cpu`` or ``cuda``.
        options: Of the engine, see :mod:`engines.xtts.adapter`.
        batch: Utterances that may be spoken at once.
    """
    return {
        "name": NAME,
        "type": NAME,
        "model_path": folder,
        "device": device,
        "max_concurrent_jobs": 1,
        "idle_unload_seconds": 0,
        "utterance_timeout_seconds": 600,
        "batching": {"max_batch_size": batch},
        "accept_license": "CPML",
        "options": options,
    }


def forced(options: dict[str, Any], tokens: int) -> dict[str, Any]:
    """Options under which each sentence has so many audio tokens.

    Random weights speak noise: the checks of what is heard would have it said again, and the comparison of
    precisions at load says nothing of weights that mean something. Both are left out, so that a row is what its
    name says.
    """
    lengths = {"min_tokens": tokens, "max_tokens": tokens}
    return {**options, **lengths, "check": False, "self_check": False}


class OurEngine:
    """One engine, spoken to by any number of callers.

    Args:
        settings: See :func:`engine_settings`; any engine's will do.
        prepared: Whether its voice is made from :func:`spoken.recording`; else it is its first.
    """

    def __init__(self, settings: dict[str, Any], *, prepared: bool = True) -> None:
        self._config = EngineConfig.model_validate(settings)
        self._engine = get_engine_adapter(self._config.type, self._config)
        self._prepared = prepared
        self._voices: list[VoiceEmbeddingRef | None] = [None]
        self._loop = asyncio.Runner()
        self._lease = ModelLease(self._engine, idle_seconds=0, accept_license=self._config.accept_license)
        self._batcher = Batcher(
            self._engine,
            self._lease.hold,
            self._config.batching,
            concurrency=self._config.max_concurrent_jobs,
            timeout=self._config.utterance_timeout_seconds,
        )

    def load(self) -> dict[str, float]:
        """Load it, and make its voice; seconds that loading took, and MiB of this process then."""
        return self._loop.run(self._load())

    def unload(self) -> dict[str, float]:
        """Unload it as a runner does when it is idle; MiB of this process then. It can be loaded again."""
        self._voices = [None]
        if not self._loop.run(self._lease.evict()):
            raise RuntimeError("the engine is in use and was not unloaded")
        return {"resident": resident()}

    def close(self) -> None:
        """Unload it for good."""
        self._loop.run(self._close())
        self._loop.close()

    def memory(self) -> float:
        """MiB of this process that are in memory."""
        return resident()

    def speak(self, texts: Sequence[str]) -> tuple[float, list[Spoken]]:
        """Speak sentences, all at once; seconds until the last is done, and each of them."""

        async def together() -> list[Spoken]:
            return list(await asyncio.gather(*(self._one(self._line(text)) for text in texts)))

        begin = time.perf_counter()
        spoken = self._loop.run(together())
        return time.perf_counter() - begin, spoken

    def callers(self, callers: int, each: int) -> tuple[float, list[Spoken]]:
        """Callers that each ask ``each`` times, again as soon as they are answered."""

        async def caller(number: int) -> list[Spoken]:
            texts = [TEXTS[(number + turn) % len(TEXTS)] for turn in range(each)]
            return [await self._one(self._line(text)) for text in texts]

        async def together() -> list[Spoken]:
            spoken = await asyncio.gather(*(caller(number) for number in range(callers)))
            return [one for some in spoken for one in some]

        begin = time.perf_counter()
        spoken = self._loop.run(together())
        return time.perf_counter() - begin, spoken

    def churn(self, count: int, every: int) -> dict[str, Any]:
        """Speak ``count`` random requests by many callers, some of whom hang up.

        Gives MiB of this process after each ``every``, when all is quiet, and what is still in the batcher's hands at the end.
        """
        return self._loop.run(self._churn(count, every))

    async def _load(self) -> dict[str, float]:
        begin = time.perf_counter()
        async with self._lease.hold() as engine:
            took, size = time.perf_counter() - begin, resident()
            if self._prepared and isinstance(engine, CloningEngine):
                pcm = (recording() * 32_767).astype(np.int16)
                pieces = [pcm[number * RATE :] for number in range(VOICES)]
                self._voices = [
                    await engine.prepare_voice([ReferenceSample(pcm=piece, sample_rate=RATE)])
                    for piece in pieces
                ]
        return {"load": took, "resident": size}

    async def _close(self) -> None:
        await self._batcher.close()
        await self._lease.close()

    def _line(self, text: str, *, language: str = "en", voice: int = 0, seed: int | None = None) -> Utterance:
        prepared = self._voices[voice % len(self._voices)]
        name = f"bench-{voice}" if prepared is not None else self._engine.voices()[0].id
        return Utterance(text=text, voice=name, language=language, prepared=prepared, seed=seed)

    async def _one(self, line: Utterance, *, hang_up: int | None = None) -> Spoken:
        """Speak one utterance; ``hang_up`` leaves after so many pieces of audio."""
        begin = time.perf_counter()
        first, samples, pieces = 0.0, 0, 0
        ticket = self._batcher.submit(line)
        try:
            async for chunk in ticket.chunks():
                first = first or time.perf_counter() - begin
                samples, pieces = samples + chunk.size, pieces + 1
                if pieces == hang_up:
                    break
        finally:
            ticket.abandon()
        took = time.perf_counter() - begin
        return Spoken(first=first or took, total=took, audio=samples / self._engine.sample_rate)

    async def _churn(self, count: int, every: int) -> dict[str, Any]:
        chance = random.Random(0)  # noqa: S311 - load, not secrets
        sizes: list[float] = []
        told = {"spoken": 0, "hung up": 0, "refused": 0}

        async def caller(numbers: Iterator[int]) -> None:
            for _ in numbers:
                told[await self._random(chance)] += 1

        for _ in range(count // every):
            numbers = iter(range(every))
            await asyncio.gather(*(caller(numbers) for _ in range(MANY_CALLERS)))
            await _settled(lambda: self._batcher.running == 0 and self._batcher.waiting == 0)
            # As the engine itself does every few sentences: else it is chance what is given back by now.
            trim()
            sizes.append(resident())
        return {"sizes": sizes, "running": self._batcher.running, "waiting": self._batcher.waiting, **told}

    async def _random(self, chance: random.Random) -> str:
        """One random request; what became of it."""
        language = chance.choice(("en", "hi"))
        text = chance.choice(TEXTS if language == "en" else HINDI)[: chance.randint(6, 140)]
        line = self._line(text, language=language, voice=chance.randrange(VOICES), seed=chance.randrange(99))
        hang_up = chance.choice((None, None, None, 0, 1))
        patience = chance.random() * 0.05 if hang_up == 0 else None
        try:
            await asyncio.wait_for(self._one(line, hang_up=hang_up or None), patience)
        except TimeoutError:
            return "hung up"
        except EngineError:
            return "refused"
        return "hung up" if hang_up == 1 else "spoken"


async def _settled(done: Callable[[], bool]) -> None:
    """Wait until what was given up has left the engine's hands; ten seconds at most."""
    deadline = time.monotonic() + 10
    while not done() and time.monotonic() < deadline:  # noqa: ASYNC110 - the batcher has no event for it
        await asyncio.sleep(0.01)


def resident() -> float:
    """MiB of this process that are in memory."""
    return psutil.Process().memory_info().rss / 2**20


def summary(seconds: float, spoken: Sequence[Spoken]) -> dict[str, float]:
    """What a number of callers saw: first audio in seconds, real-time factor, and seconds of audio a second."""
    firsts = [one.first for one in spoken]
    return {
        "first50": quantile(firsts, 0.5),
        "first95": quantile(firsts, 0.95),
        "factor": quantile([one.total / one.audio for one in spoken if one.audio], 0.5),
        "rate": sum(one.audio for one in spoken) / seconds,
    }
