"""Speech for tests, by the embedded engine."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import numpy.typing as npt
import soxr

from engines.config import EngineConfig
from engines.contract import Speech, Utterance, synthesize
from engines.espeak.adapter import EspeakEngine

RATE = 24_000
SENTENCES = (
    "The quick brown fox jumps over the lazy dog, and then it sleeps in the warm sun.",
    "Please record this sentence in a quiet room, at an even pace.",
    "Every morning the old harbour fills with boats, gulls and the smell of tar.",
    "Numbers such as forty two, or one thousand and five, are part of the text.",
)


async def _speak(texts: tuple[str, ...], voice: str) -> list[npt.NDArray[np.float32]]:
    engine = EspeakEngine(EngineConfig(name="e", max_concurrent_jobs=1))
    await engine.load()
    try:
        outcomes = await synthesize(
            engine, [Utterance(text=text, voice=voice, language="en") for text in texts]
        )
    finally:
        await engine.close()
    assert all(isinstance(outcome, Speech) for outcome in outcomes), outcomes
    pcm = [outcome.pcm for outcome in outcomes if isinstance(outcome, Speech)]
    return [soxr.resample(part.astype(np.float32) / 32_768, engine.sample_rate, RATE) for part in pcm]


@cache
def sentences(voice: str = "onyx") -> tuple[npt.NDArray[np.float32], ...]:
    """The four sentences, 24 kHz, full scale 1; also from within a running event loop."""
    with ThreadPoolExecutor(1) as thread:
        return tuple(thread.submit(lambda: asyncio.run(_speak(SENTENCES, voice))).result(timeout=60))


def speech(voice: str = "onyx", count: int = 2, pause: float = 0.4) -> npt.NDArray[np.float32]:
    """Some sentences with pauses before, between and after; peak 0.5."""
    quiet = np.zeros(round(pause * RATE), np.float32)
    parts = [quiet]
    for part in sentences(voice)[:count]:
        parts += [part, quiet]
    joined = np.concatenate(parts)
    return joined / np.float32(2 * np.abs(joined).max())
