"""Speaks sentences with the embedded engine, and prints the result as JSON."""

import asyncio
import json
import sys
import time

import numpy as np

from engines.config import EngineConfig
from engines.contract import EngineError, Speech, Utterance, synthesize
from engines.registry import get_engine_adapter

SENTENCES = {"en": "Hello, this is a test.", "hi": "नमस्ते, यह एक परीक्षण है।"}


async def _speak() -> dict[str, object]:
    engine = get_engine_adapter("ESPEAK", EngineConfig(name="ESPEAK", max_concurrent_jobs=1))
    languages = list(engine.languages)
    began = time.perf_counter()
    await engine.load()
    try:
        seconds = 0.0
        for language, text in SENTENCES.items():
            utterance = Utterance(text=text, voice=engine.voices()[0].id, language=language)
            (outcome,) = await synthesize(engine, [utterance])
            if not isinstance(outcome, Speech):
                raise outcome
            if not outcome.pcm.size or int(np.max(np.abs(outcome.pcm.astype(np.int32)))) == 0:
                sys.exit(f"the engine was silent in the language {language}")
            seconds += outcome.pcm.size / engine.sample_rate
    finally:
        await engine.close()
    return {
        "audio_seconds": round(seconds, 3),
        "took_seconds": round(time.perf_counter() - began, 3),
        "languages": len(languages),
    }


def main() -> None:
    """Speak; an error is printed as the last line on standard error."""
    try:
        answer = asyncio.run(_speak())
    except (EngineError, ImportError, OSError) as error:
        sys.exit(str(error))
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
