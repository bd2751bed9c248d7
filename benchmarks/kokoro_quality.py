"""How clean KOKORO's audio is: silence around it, clipping, first and last words, word timings, memory.

python benchmarks/kokoro_quality.py
python benchmarks/kokoro_quality.py --part silence --kokoro FOLDER --whisper FOLDER
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import psutil
from contestants import RATE, VOICES, kokoro, models_path
from judge import Judge
from listening_texts import ENGLISH, HINDI, PAIRS
from spelling import english_words

from engines.config import EngineConfig
from engines.contract import EngineAdapter, Pcm, Speech, Utterance, synthesize
from engines.memory import trim
from engines.registry import get_engine_adapter

from apart import Apart
from ours import resident
from spoken import median, print_table, processor, quantile

PARTS: Final = ("silence", "timings", "memory")
FRAME: Final = RATE // 200
"""Samples of a frame: 5 ms."""

QUIET_DB: Final = -40.0
"""A frame is silence when its level is so far below the loudest."""

LEAD, TAIL = 0.06, 0.12
"""Seconds of silence before and after, at most."""

GAP: Final = 12
"""Frames of silence that part two words: 60 ms, which few stops inside a word have."""

EVERY: Final = 200
SIDE_BY_SIDE: Final = 4
LISTS: Final = (
    ("en", "Monday, Tuesday, Wednesday, Sunday."),
    ("en", "Apple, melon, orange, banana."),
    ("en", "River, mountain, valley, garden."),
    ("en", "Yellow, orange, green, brown."),
    ("hi", "आम, अनार, अमरूद, नारियल।"),
    ("hi", "सोमवार, मंगलवार, रविवार, शनिवार।"),
    ("hi", "लाल, नीला, हरा, गुलाबी।"),
    ("hi", "राम, मीरा, अमर, राधा।"),
)
"""Words with a clear beginning and end, most of them."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What was said, and how it came out."""

    text: str
    voice: str
    pcm: Pcm


class Speaker:
    """The engine by itself, in this process.

    Args:
        settings: Its entry in the configuration.
    """

    def __init__(self, settings: dict[str, object]) -> None:
        config = EngineConfig.model_validate(settings)
        self._engine: EngineAdapter = get_engine_adapter(config.type, config)
        self._loop = asyncio.Runner()
        self._loop.run(self._engine.load())

    def close(self) -> None:
        """Unload it."""
        self._loop.run(self._engine.close())
        self._loop.close()

    def say(self, text: str, voice: str, language: str) -> Speech:
        """Speak one text, with timings.

        Raises:
            RuntimeError: It could not be spoken.
        """
        return self._loop.run(self._say(text, voice, language))

    def memory(self, count: int) -> list[float]:
        """Speak ``count`` requests of random lengths; MiB of this process after each :data:`EVERY`."""
        return self._loop.run(self._memory(count))

    async def _say(self, text: str, voice: str, language: str) -> Speech:
        line = Utterance(text=text, voice=voice, language=language, timings=True)
        (outcome,) = await synthesize(self._engine, [line])
        if isinstance(outcome, Speech):
            return outcome
        raise RuntimeError(f"'{text}' was not said: {outcome}")

    async def _memory(self, count: int) -> list[float]:
        chance = random.Random(0)  # noqa: S311 - load, not secrets
        sizes: list[float] = []

        async def caller(numbers: Iterator[int]) -> None:
            for _ in numbers:
                language = chance.choice(("en", "hi"))
                text = chance.choice(ENGLISH if language == "en" else [line.text for line in HINDI])
                voice = chance.choice(VOICES["KOKORO"][language])
                await self._say(text[: chance.randint(4, 100)].strip() + ".", voice, language)

        for _ in range(count // EVERY):
            numbers = iter(range(EVERY))
            await asyncio.gather(*(caller(numbers) for _ in range(SIDE_BY_SIDE)))
            trim()
            sizes.append(resident())
        return sizes


def texts(language: str) -> list[str]:
    """A hundred sentences, short ones too."""
    if language == "hi":
        return [*(line.text for line in HINDI), *(pair[0] for pair in PAIRS[:40])]
    parts = [part.strip() for text in ENGLISH for part in text.split(",") if len(part.split()) > 1]
    short = [part[0].upper() + part[1:].rstrip(".?!") + "." for part in parts if part not in ENGLISH]
    return [*ENGLISH, *short[:40]]


def loud(pcm: Pcm) -> npt.NDArray[np.bool_]:
    """Which frames are no silence, shape ``(frames,)``."""
    sound = pcm.astype(np.float64)
    count = sound.size // FRAME
    level = np.sqrt((sound[: count * FRAME].reshape(count, FRAME) ** 2).mean(axis=1))
    return level > level.max() * 10 ** (QUIET_DB / 20)


def edges(pcm: Pcm) -> tuple[float, float]:
    """Seconds of silence before and after."""
    at = np.flatnonzero(loud(pcm))
    return float(at[0] * FRAME / RATE), float((pcm.size - (at[-1] + 1) * FRAME) / RATE)


def stretches(pcm: Pcm) -> list[tuple[float, float]]:
    """Begin and end, in seconds, of what stands between silences of :data:`GAP` frames."""
    at = np.flatnonzero(loud(pcm))
    breaks = np.flatnonzero(np.diff(at) > GAP)
    begins, ends = at[np.r_[0, breaks + 1]], at[np.r_[breaks, at.size - 1]] + 1
    return [(b * FRAME / RATE, e * FRAME / RATE) for b, e in zip(begins, ends, strict=True)]


def bench_silence(speaker: Speaker, judge: Judge) -> None:
    """Print silence, clipping, and what is heard of first and last words."""
    clips: list[Clip] = []
    for language, voices in VOICES["KOKORO"].items():
        for number, text in enumerate(texts(language)):
            voice = voices[number % len(voices)]
            clips.append(Clip(text, voice, speaker.say(text, voice, language).pcm))
    around = [edges(clip.pcm) for clip in clips]
    rows = [
        [name, *(f"{1_000 * value:.0f}" for value in (median(row), quantile(row, 0.95), max(row))), aim]
        for name, row, aim in (
            ("before", [lead for lead, _ in around], "≤ 60"),
            ("after", [tail for _, tail in around], "≤ 120"),
        )
    ]
    print(f"\n## Silence around {len(clips)} sentences in {len({clip.voice for clip in clips})} voices, ms\n")
    print_table(["", "median", "95 %", "longest", "aim"], rows)
    for clip, (lead, tail) in zip(clips, around, strict=True):
        if lead > LEAD or tail > TAIL:
            print(f"- {clip.voice}, {1_000 * lead:.0f} before and {1_000 * tail:.0f} after: {clip.text}")
    full = sum(int((np.abs(clip.pcm.astype(np.int32)) >= 32_767).sum()) for clip in clips)
    peak = max(int(np.abs(clip.pcm.astype(np.int32)).max()) for clip in clips)
    print(f"Samples at full scale: {full}; the highest peak is {peak / 32_768:.3f}.\n")
    _print_ends(judge, [clip for clip in clips if clip.voice in VOICES["KOKORO"]["en"]])


def _print_ends(judge: Judge, clips: Sequence[Clip]) -> None:
    """How often the judge hears the first and the last word of a sentence."""
    missed: list[str] = []
    counts = [0, 0]
    for clip in clips:
        said = english_words(clip.text)
        text = judge.listen((clip.pcm / 32_768).astype(np.float32), RATE, "en").text()
        heard = english_words(text, said)
        for index, place in ((0, 0), (-1, 1)):
            fine = bool(heard) and heard[index] == said[index]
            counts[place] += fine
            if not fine:
                missed.append(f"{clip.voice}: {clip.text} | {text}")
    print(f"Heard by the judge, of {len(clips)}: the first word {counts[0]}, the last word {counts[1]}.\n")
    for line in missed:
        print(f"- {line}")


def bench_timings(speaker: Speaker) -> None:
    """Print how far word timings are from where sound begins and ends: of words said alone, and beside pauses of lists."""
    said = [(language, text, voice) for language, text in LISTS for voice in VOICES["KOKORO"][language]]
    for language, text in LISTS:
        said += [
            (language, word, voice)
            for word, voice in zip(text.rstrip(".।").split(", "), VOICES["KOKORO"][language], strict=True)
        ]
    begins: list[float] = []
    ends: list[float] = []
    for language, text, voice in said:
        speech = speaker.say(text, voice, language)
        for begin, end in stretches(speech.pcm):
            inside = [word for word in speech.words if begin < (word.start + word.end) / 2 < end]
            if inside:
                begins.append(inside[0].start - begin)
                ends.append(inside[-1].end - end)
    print(f"\n## Timings beside {len(begins)} stretches of sound, in ms from their borders\n")
    rows: list[list[str]] = []
    for name, off in (("begin", begins), ("end", ends)):
        away = [abs(value) for value in off]
        seen = (median(off), median(away), quantile(away, 0.95), max(away))
        within = sum(value <= 0.06 for value in away) / len(away)
        rows.append([name, *(f"{1_000 * value:.0f}" for value in seen), f"{within:.0%}"])
    print_table(["", "median", "median away", "95 %", "furthest", "within 60"], rows)


def bench_memory(settings: dict[str, object], count: int) -> None:
    """Print resident memory over requests of random lengths."""
    print(f"\n## Memory: {count} requests of random lengths by {SIDE_BY_SIDE} callers\n", flush=True)
    with Apart(Speaker, settings) as engine:
        sizes: list[float] = engine.call("memory", count, timeout=6 * 3_600)
    print_table(
        ["requests", "resident, MiB", f"growth since {EVERY}"],
        [
            [(number + 1) * EVERY, f"{size:.1f}", f"{size / sizes[0] - 1:+.1%}"]
            for number, size in enumerate(sizes)
        ],
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", action="append", choices=PARTS, help="this part alone; may be repeated")
    parser.add_argument("--kokoro", type=Path, help="folder with model.onnx; without it, of the model kokoro")
    parser.add_argument(
        "--whisper", type=Path, help="folder of the judge; without it, of the model whisper-base"
    )
    parser.add_argument("--requests", type=int, default=2_000, help="of the part `memory`")
    return parser.parse_args()


def main() -> None:
    """Print the parts that were asked for."""
    given, begin = arguments(), time.monotonic()
    parts = given.part or PARTS
    settings = kokoro(given.kokoro or models_path("kokoro"))
    print(
        f"`python benchmarks/kokoro_quality.py {' '.join(sys.argv[1:])}`\n\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {processor()}, "
        f"{psutil.cpu_count()} cores.",
        flush=True,
    )
    if {"silence", "timings"} & set(parts):
        speaker = Speaker(settings)
        try:
            if "silence" in parts:
                bench_silence(speaker, Judge(given.whisper or models_path("whisper-base")))
            if "timings" in parts:
                bench_timings(speaker)
        finally:
            speaker.close()
    if "memory" in parts:
        bench_memory(settings, given.requests)
    print(f"All of it took {(time.monotonic() - begin) / 60:.1f} minutes.")


if __name__ == "__main__":
    main()
