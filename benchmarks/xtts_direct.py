"""XTTS in process beside stock coqui-tts: 8 sentences at once, one alone, first audio, for each precision.

Stock speaks the sentences one after another, and between two of its sentences each precision of ours has its
turn: alone and with 8 at once by turns. So both see the same machine, and never at the same moment.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from apart import Apart
from ours import OurEngine, engine_settings, forced
from quiet import Watch
from spoken import TEXTS, Spoken, median, print_table, quantile
from stock import StockXtts

SIZE: Final = len(TEXTS)
STREAMED: Final = (1, 4, 7)
"""After which of stock's sentences its ``inference_stream`` has a turn."""

EXACT: Final = "fp32 / fp32"
"""The row that gives stock's own audio."""

AIMS: Final = (
    ("8 at once, of stock", 8.0),
    ("8 at once in fp32, of stock", 4.0),
    ("one sentence, of stock", 3.7),
    ("stock's whole sentence, of our first audio", 4.0),
    ("first audio of stock's inference_stream, of ours", 2.0),
)


@dataclass
class Seen:
    """What one side did, as (seconds, dirty): each figure with whether others used the processors meanwhile."""

    alone: list[tuple[float, bool]] = field(default_factory=list[tuple[float, bool]])
    together: list[tuple[float, bool]] = field(default_factory=list[tuple[float, bool]])
    first: list[tuple[float, bool]] = field(default_factory=list[tuple[float, bool]])
    firsts: list[float] = field(default_factory=list[float])
    audio: list[float] = field(default_factory=list[float])

    @property
    def dirty(self) -> str:
        """How many of the measurements were not alone on the machine."""
        every = [*self.alone, *self.together, *self.first]
        return f"{sum(dirty for _, dirty in every)}/{len(every)}"


def bench_direct(
    folder: Path, device: str, *, tokens: int, rounds: int, options: Sequence[dict[str, Any]], stock: bool
) -> None:
    """Print the table.

    Args:
        folder: The checkpoint's.
        device: ``cpu`` or ``cuda``.
        tokens: Audio tokens of each sentence, forced on both sides.
        rounds: Times that stock speaks all sentences.
        options: Of our engine, one for each row; ``precision`` names it.
        stock: Whether stock runs beside it.
    """
    where = "on the GPU" if device == "cuda" else "on the CPU"
    print(f"\n## XTTS {where}, in process: {SIZE} sentences of {tokens} audio tokens\n")
    with ExitStack() as stack:
        theirs = stack.enter_context(Apart(StockXtts, str(folder), device)) if stock else None
        ours: dict[str, Apart] = {}
        for row in options:
            settings = engine_settings(str(folder), device, forced(row, tokens))
            name = " / ".join(str(value) for key, value in row.items() if key.endswith("precision"))
            ours[name or "auto"] = stack.enter_context(Apart(OurEngine, settings))
        _load(theirs, ours, tokens)
        old, new = _measure(theirs, ours, tokens, rounds)
    _print(old, new)


def _load(theirs: Apart | None, ours: dict[str, Apart], tokens: int) -> None:
    """Load all, and let each speak once."""
    if theirs is not None:
        theirs.call("load")
        theirs.call("speak", TEXTS[1], min(tokens, 20))
    for engine in ours.values():
        engine.call("load")
        engine.call("speak", TEXTS[1:2])


def _measure(
    theirs: Apart | None, ours: dict[str, Apart], tokens: int, rounds: int
) -> tuple[Seen, dict[str, Seen]]:
    old, new = Seen(), {name: Seen() for name in ours}
    for _ in range(rounds):
        one_after_another, any_dirty = 0.0, False
        for number, text in enumerate(TEXTS):
            if theirs is not None:
                spoken, dirty = _timed(theirs, "speak", text, tokens)
                old.alone.append((spoken.total, dirty))
                old.audio.append(spoken.audio)
                one_after_another += spoken.total
                any_dirty = any_dirty or dirty
                if number in STREAMED:
                    spoken, dirty = _timed(theirs, "stream", text, tokens)
                    old.first.append((spoken.first, dirty))
            for name, engine in ours.items():
                _turn(engine, new[name], [text] if number % 2 == 0 else TEXTS)
        if theirs is not None:
            old.together.append((one_after_another, any_dirty))
    return old, new


def _turn(engine: Apart, seen: Seen, texts: Sequence[str]) -> None:
    """One sentence, or all at once."""
    (seconds, spoken), dirty = _timed(engine, "speak", list(texts))
    seen.audio.extend(one.audio for one in spoken)
    if len(texts) == 1:
        seen.alone.append((seconds, dirty))
        seen.first.append((spoken[0].first, dirty))
    else:
        seen.together.append((seconds, dirty))
        seen.firsts.extend(one.first for one in spoken)


def _timed(engine: Apart, method: str, *arguments: object) -> tuple[Any, bool]:
    with Watch() as watch:
        result: Spoken | tuple[float, list[Spoken]] = engine.call(method, *arguments)
    return result, watch.dirty


def _best(figures: Sequence[tuple[float, bool]]) -> float:
    """The median of those that were alone on the machine, if any were; else of all."""
    return median([seconds for seconds, dirty in figures if not dirty] or [seconds for seconds, _ in figures])


def _print(old: Seen, new: dict[str, Seen]) -> None:
    whole, streamed, eight = _best(old.alone), _best(old.first), _best(old.together)
    if old.alone and all(dirty for _, dirty in old.together):
        # Eight in a row were never alone on the machine, but some of them were.
        eight = SIZE * whole
        old.together = [(eight, True)]
    work: list[list[str]] = []
    early: list[list[str]] = []
    reached: dict[str, list[tuple[float, str]]] = {aim: [] for aim, _ in AIMS}
    if old.alone:
        work.append(_work("stock, fp32", old, (1.0, 1.0)))
        early.append(["stock, `inference`", f"{whole:.2f}", "1.0", f"{streamed / whole:.1f}", "", ""])
        early.append(
            ["stock, `inference_stream`", f"{streamed:.2f}", f"{whole / streamed:.1f}", "1.0", "", ""]
        )
    for name, seen in new.items():
        first = _best(seen.first)
        gains = (eight / _best(seen.together), whole / _best(seen.alone), whole / first, streamed / first)
        work.append(_work(name, seen, gains[:2]))
        late = [f"{quantile(seen.firsts, share):.2f}" for share in (0.5, 0.95)]
        early.append([name, f"{first:.2f}", f"{gains[2]:.1f}", f"{gains[3]:.1f}", *late])
        exact = gains[0] if name == EXACT else None
        for (aim, _), value in zip(AIMS, (gains[0], exact, *gains[1:]), strict=True):
            if value is not None:
                reached[aim].append((value, name))
    print_table(["", "8, s", "× stock", "RTF", "1, s", "× stock", "RTF", "audio of one, s", "dirty"], work)
    print(
        "8: all sentences at once, stock one after another. RTF is seconds of work for a second of audio. Dirty: how many "
        "measurements saw others use more than 8 % of the processors; figures are medians of the clean ones, where "
        "there are any.\n"
    )
    print_table(
        [
            "",
            "first audio alone, s",
            "stock's sentence, × it",
            "stock's stream, × it",
            "of 8 at once, p50",
            "p95",
        ],
        early,
    )
    if old.alone:
        _print_aims(reached)


def _work(name: str, seen: Seen, gains: Sequence[float]) -> list[str]:
    """A row of the table of work done."""
    audio, eight, one = median(seen.audio), _best(seen.together), _best(seen.alone)
    row = [name, f"{eight:.1f}", f"{gains[0]:.1f}", f"{eight / audio / SIZE:.2f}"]
    return [*row, f"{one:.2f}", f"{gains[1]:.1f}", f"{one / audio:.2f}", f"{audio:.2f}", seen.dirty]


def _print_aims(reached: dict[str, list[tuple[float, str]]]) -> None:
    rows: list[list[str]] = []
    for aim, least in AIMS:
        if reached[aim]:
            value, name = max(reached[aim])
            rows.append([aim, f"≥ {least:g}", f"{value:.1f} ({name})", "yes" if value >= least else "**no**"])
    print_table(["aim", "×", "reached", ""], rows)
