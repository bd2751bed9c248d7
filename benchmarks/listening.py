"""How well speech is understood: Whisper hears KOKORO, ESPEAK and stock `kokoro-onnx`, in English and Hindi, in one run.

    python benchmarks/listening.py
    python benchmarks/listening.py --stock-python venv/bin/python --share 0.25
    python benchmarks/listening.py --engine KOKORO --engine KOKORO_ONNXRUNTIME
    python benchmarks/listening.py --url http://127.0.0.1:3000 --engine KOKORO --json heard.json

English: the share of words that were heard as others (WER), spellings folded. Hindi: the share of letters heard as others
(CER), the mean log probability of the right text, a token, and how often the judge finds the sentence that was said likelier
than one that differs in one word. Close pairs differ in one sound: there, what the judge expects before it hears anything is
taken away, and still it tells few of any voice. The judge is small and its Hindi is weak: read the contestants beside each other.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import psutil
from contestants import RATE, VOICES, Contestant, Served, Weights, kokoro, models_path, stock
from judge import Judge, Sound
from listening_texts import CLOSE, ENGLISH, HINDI, PAIRS
from spelling import english_words, hindi_letters, letter_errors, word_errors

from serving import serve
from spoken import print_table, processor

ENGINES: Final = ("KOKORO", "ESPEAK")
BACKENDS: Final = {"KOKORO": "auto", "KOKORO_ONNXRUNTIME": "onnxruntime"}
"""Engines of the type KOKORO, and what computes them."""
PARTS: Final = ("english", "hindi", "pairs")
HEAD: Final = (
    "", "voice", "WER", "CER median", "CER mean", "log p a token", "pairs told apart", "close ones",
)  # fmt: skip
T = TypeVar("T")


@dataclass
class Heard:
    """What was heard of one sentence.

    Attributes:
        said: The text.
        heard: What the judge wrote down; empty for a pair.
        errors: Words or letters that are wrong; for a pair 1 when the other sentence was likelier.
        size: Words or letters in the text; 1 for a pair.
        log_probability: Of the text, a token; 0 where it was not asked for.
    """

    said: str
    heard: str
    errors: int
    size: int
    log_probability: float = 0.0


@dataclass
class Scores:
    """What was heard of one voice, or of all voices of a contestant."""

    contestant: str
    voice: str
    english: list[Heard] = field(default_factory=list[Heard])
    hindi: list[Heard] = field(default_factory=list[Heard])
    pairs: list[Heard] = field(default_factory=list[Heard])
    close: list[Heard] = field(default_factory=list[Heard])

    def figures(self) -> dict[str, float | None]:
        """The figures of the table; None where nothing was heard."""
        letters = [one.errors / one.size for one in self.hindi]
        return {
            "wer": _rate(self.english),
            "cer_median": statistics.median(letters) if letters else None,
            "cer_mean": _rate(self.hindi),
            "log_probability": statistics.fmean(one.log_probability for one in self.hindi)
            if letters
            else None,
            "told_apart": _right(self.pairs),
            "close_told_apart": _right(self.close),
        }

    def row(self) -> list[str]:
        """A row of the table."""
        seen = self.figures()
        shown = [_shown(seen[key], ".1%") for key in ("wer",)]
        shown += [_shown(seen[key], ".3f") for key in ("cer_median", "cer_mean")]
        return [
            self.contestant,
            self.voice,
            *shown,
            _shown(seen["log_probability"], ".2f"),
            _shown(seen["told_apart"], ".1%"),
            _shown(seen["close_told_apart"], ".1%"),
        ]


def _rate(heard: Sequence[Heard]) -> float | None:
    return sum(one.errors for one in heard) / sum(one.size for one in heard) if heard else None


def _right(heard: Sequence[Heard]) -> float | None:
    wrong = _rate(heard)
    return None if wrong is None else 1 - wrong


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}"


def hear_english(judge: Judge, speaker: Contestant, voice: str, text: str) -> Heard:
    """Speak an English sentence and count the words that are heard wrongly."""
    heard = judge.listen(speaker.speak(text, voice), RATE, "en").text()
    said = english_words(text)
    return Heard(text, heard, word_errors(said, english_words(heard, said)), len(said))


def hear_hindi(judge: Judge, speaker: Contestant, voice: str, text: str, reference: str) -> Heard:
    """Speak a Hindi sentence, count the letters that are heard wrongly, and ask how probable it is."""
    hearing = judge.listen(speaker.speak(text, voice), RATE, "hi")
    said, heard = hindi_letters(reference), hearing.text()
    total, tokens = hearing.log_probability(reference)
    # What is longer than the sentence and wrong is no worse than nothing at all: a judge that repeats itself says little.
    errors = min(len(said), letter_errors(said, hindi_letters(heard)))
    return Heard(text, heard, errors, len(said), total / tokens)


def hear_pairs(
    judge: Judge, speak: Callable[[str], Sound], pairs: Sequence[tuple[str, str]], turn: int, *, close: bool
) -> list[Heard]:
    """Speak one sentence of each pair and ask which of the two it was.

    Args:
        judge: Who hears.
        speak: Speaks, in some voice.
        pairs: Of sentences.
        turn: Number of the voice: half of them say the one and half the other, so that what the judge expects helps nobody.
        close: Whether what the judge expects is taken away: next to it, one sound weighs little.
    """
    silence = judge.listen(np.zeros(2 * RATE, np.float32), RATE, "hi") if close else None
    found: list[Heard] = []
    for at, pair in enumerate(pairs):
        said, other = pair if (at + turn) % 2 == 0 else pair[::-1]
        hearing = judge.listen(speak(said), RATE, "hi")
        found.append(Heard(said, "", hearing.likelier([said, other], silence), 1))
    return found


def listen(judge: Judge, speaker: Contestant, parts: Sequence[str], share: float) -> list[Scores]:
    """Hear a contestant; a row for each voice and, last, one for all of them.

    Args:
        judge: Who hears.
        speaker: Who speaks.
        parts: Of :data:`PARTS`.
        share: Of the sentences, between 0 and 1.
    """
    rows: dict[str, Scores] = {}
    for language, wanted in (("en", {"english"}), ("hi", {"hindi", "pairs"})):
        for number, voice in enumerate(speaker.voices[language] if wanted & set(parts) else ()):
            print(f"{speaker.name}, {voice} …", file=sys.stderr, flush=True)
            row = rows.setdefault(f"{voice} {language}", Scores(speaker.name, voice))
            if language == "en":
                row.english += [hear_english(judge, speaker, voice, text) for text in some(ENGLISH, share)]
            if "hindi" in parts and language == "hi":
                row.hindi += [
                    hear_hindi(judge, speaker, voice, line.text, line.reference)
                    for line in some(HINDI, share)
                ]
            if "pairs" in parts and language == "hi":
                speak = partial(speaker.speak, voice=voice)
                row.pairs += hear_pairs(judge, speak, some(PAIRS, share), number, close=False)
                row.close += hear_pairs(judge, speak, some(CLOSE, share), number, close=True)
    whole = Scores(speaker.name, "**all**")
    for row in rows.values():
        whole.english += row.english
        whole.hindi += row.hindi
        whole.pairs += row.pairs
        whole.close += row.close
    return [*rows.values(), whole]


def some(texts: Sequence[T], share: float) -> list[T]:
    """A share of the texts, spread over all of them."""
    count = max(1, round(len(texts) * share))
    return [texts[at * len(texts) // count] for at in range(count)]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--engine", action="append", choices=sorted(VOICES), help="this one alone; may be repeated"
    )
    parser.add_argument("--part", action="append", choices=PARTS, help="this part alone; may be repeated")
    parser.add_argument("--url", help="of a server that runs; without it one is started")
    parser.add_argument(
        "--whisper", type=Path, help="folder of the judge; without it, of the model whisper-base"
    )
    parser.add_argument(
        "--stock-python", type=Path, help="of an environment with kokoro-onnx; without it, stock is left out"
    )
    parser.add_argument("--kokoro", type=Path, help="folder with model.onnx; without it, of the model kokoro")
    parser.add_argument("--voices", type=Path, help="stock's folder of voices; without it, in the model's")
    parser.add_argument("--only-stock", action="store_true", help="no engine of ours")
    parser.add_argument("--share", type=float, default=1.0, help="of the sentences, 0 to 1")
    parser.add_argument("--json", type=Path, help="write all that was heard into this file")
    return parser.parse_args()


def open_contestants(given: argparse.Namespace, stack: ExitStack) -> list[Contestant]:
    """Everybody who was asked for, started."""
    names = () if given.only_stock else tuple(given.engine or ENGINES)
    folder: Path | None = given.kokoro
    if folder is None and (given.stock_python or (BACKENDS.keys() & set(names) and not given.url)):
        folder = models_path("kokoro")
    found: list[Contestant] = []
    if names:
        known: dict[str, dict[str, object]] = {"ESPEAK": {"name": "ESPEAK", "type": "ESPEAK"}}
        if folder is not None:
            known |= {name: kokoro(folder, name, backend) for name, backend in BACKENDS.items()}
        address = given.url or stack.enter_context(serve({"engines": [known[name] for name in names]}))[0]
        found += [Served(address, name) for name in names]
    if given.stock_python and folder is not None:
        weights = Weights(given.stock_python, folder / "model.onnx", given.voices or folder / "voices")
        found.append(stack.enter_context(stock(weights)))
    else:
        print("Stock kokoro-onnx is left out: --stock-python names no environment that has it.\n")
    return found


def write(rows: Sequence[Scores], path: Path) -> None:
    """Write all that was heard so far into a file."""
    heard: list[dict[str, Any]] = [{**asdict(row), "figures": row.figures()} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(heard, ensure_ascii=False, indent=1), encoding="utf-8")


def main() -> None:
    """Print the table."""
    given, begin = arguments(), time.monotonic()
    judge = Judge(given.whisper or models_path("whisper-base"))
    parts = given.part or PARTS
    print(
        f"`python benchmarks/listening.py {' '.join(sys.argv[1:])}`\n\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {processor()}, "
        f"{psutil.cpu_count()} cores; {given.share:.0%} of the sentences in each voice.\n"
    )
    rows: list[Scores] = []
    with ExitStack() as stack:
        for speaker in open_contestants(given, stack):
            try:
                rows += listen(judge, speaker, parts, given.share)
            except RuntimeError as error:
                print(f"{speaker.name} did not come to its end: {error}\n", flush=True)
            if given.json:
                write(rows, given.json)
    print_table(HEAD, [row.row() for row in rows])
    print(f"All of it took {(time.monotonic() - begin) / 60:.1f} minutes.")


if __name__ == "__main__":
    main()
