"""What voices made from recordings cost the embedded engine: to prepare, to speak in, to keep.

The recordings are eSpeak NG's own, in a variant. Everything runs in this process and one worker, on one core
where numpy is told so (``OPENBLAS_NUM_THREADS=1``).
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import aclosing
from itertools import cycle, islice

from engines.config import EngineConfig
from engines.contract import Pcm, ReferenceSample, Speech, Utterance, VoiceEmbeddingRef, synthesize
from engines.espeak.adapter import SAMPLE_RATE, EspeakEngine
from engines.text.reading import reading_script

from spoken import machine

VARIANT = "en-us+linda"
LINE = "The quick brown fox jumps over the lazy dog, and the train to Mumbai leaves at half past nine."
ROUNDS = 20


async def spoken(engine: EspeakEngine, utterance: Utterance) -> Pcm:
    """What the engine says."""
    outcome = (await synthesize(engine, [utterance]))[0]
    if not isinstance(outcome, Speech):
        raise outcome
    return outcome.pcm


async def recordings(engine: EspeakEngine, seconds: float, *, known: bool) -> list[ReferenceSample]:
    """Sentences of a script, again and again, until they are so long."""
    samples: list[ReferenceSample] = []
    for text in islice(cycle(reading_script("en")), 100):
        pcm = await spoken(engine, Utterance(text=text, voice=VARIANT, language="en-US"))
        left = seconds - sum(len(sample.pcm) for sample in samples) / SAMPLE_RATE
        if left <= 0:
            break
        transcript = text if known else None
        samples.append(
            ReferenceSample(pcm=pcm, sample_rate=SAMPLE_RATE, transcript=transcript, language="en-US")
        )
    return samples


async def bench_preparing(engine: EspeakEngine) -> VoiceEmbeddingRef:
    """Seconds to prepare, and the size of what comes out; gives the last voice."""
    print("\n## Preparing a voice\n")
    print("| recordings, s | transcripts | wall s | CPU s | embedding, kB |\n| --- | --- | --- | --- | --- |")
    voice: VoiceEmbeddingRef | None = None
    for seconds in (6, 60):
        for known in (False, True):
            samples = await recordings(engine, seconds, known=known)
            length = sum(len(sample.pcm) for sample in samples) / SAMPLE_RATE
            begin, cpu = time.perf_counter(), time.process_time()
            voice = await engine.prepare_voice(samples)
            wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
            print(
                f"| {length:.1f} | {'yes' if known else 'no'} | {wall:.2f} | {cpu:.2f} | {voice.nbytes / 1000:.0f} |"
            )
    if voice is None:
        raise RuntimeError("nothing was prepared")
    return voice


async def speaking(engine: EspeakEngine, utterance: Utterance) -> Sequence[tuple[float, float, float]]:
    """For some rounds: wall seconds, CPU seconds of this process, and seconds of speech."""
    rounds: list[tuple[float, float, float]] = []
    for _ in range(ROUNDS):
        begin, cpu = time.perf_counter(), time.process_time()
        pcm = await spoken(engine, utterance)
        rounds.append((time.perf_counter() - begin, time.process_time() - cpu, len(pcm) / SAMPLE_RATE))
    return rounds


async def bench_speaking(engine: EspeakEngine, voice: VoiceEmbeddingRef) -> None:
    """Real-time factors of plain and of adapted speech."""
    print("\n## Speaking one sentence (real-time factors, median)\n")
    print("| voice | wall | CPU | first audio, ms |\n| --- | --- | --- | --- |")
    plain = Utterance(text=LINE, voice="en-us", language="en-US")
    adapted = Utterance(text=LINE, voice="own", language="en-US", prepared=voice)
    walls: list[float] = []
    for name, utterance in (("plain", plain), ("adapted", adapted)):
        await spoken(engine, utterance)
        rounds = await speaking(engine, utterance)
        wall = statistics.median(w / length for w, _, length in rounds)
        cpu = statistics.median(c / length for _, c, length in rounds)
        walls.append(wall)
        print(f"| {name} | {wall:.4f} | {cpu:.4f} | {await first_audio(engine, utterance) * 1000:.1f} |")
    print(f"\nadapted speech costs {walls[1] / walls[0]:.0f} times as much as plain speech")


async def first_audio(engine: EspeakEngine, utterance: Utterance) -> float:
    """Seconds to the first PCM, the median."""
    times: list[float] = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        async with aclosing(engine.stream([utterance])) as items:
            await anext(items)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


async def bench_adaptation() -> None:
    """All of it."""
    engine = EspeakEngine(EngineConfig(name="ESPEAK", max_concurrent_jobs=1))
    await engine.load()
    try:
        await bench_speaking(engine, await bench_preparing(engine))
    finally:
        await engine.close()


if __name__ == "__main__":
    print(f"Adaptation, {machine()}")
    asyncio.run(bench_adaptation())
