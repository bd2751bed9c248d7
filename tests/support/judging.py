"""The judge of the benchmarks, for tests: a small part of benchmarks/listening.py."""

import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

# Benchmarks are scripts beside each other, and no package.
if str(BENCHMARKS) not in sys.path:
    sys.path.append(str(BENCHMARKS))

from judge import Hearing, Judge, Sound  # noqa: E402 - only now is it found
from listening_texts import ENGLISH, HINDI, PAIRS  # noqa: E402 - as above
from spelling import english_words, hindi_letters, letter_errors, word_errors  # noqa: E402 - as above

__all__ = [
    "ENGLISH",
    "HINDI",
    "PAIRS",
    "Hearing",
    "Judge",
    "Sound",
    "english_words",
    "hindi_letters",
    "letter_errors",
    "word_errors",
]
