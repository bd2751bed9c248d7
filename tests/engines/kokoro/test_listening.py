"""What Whisper hears of KOKORO: a small part of benchmarks/listening.py, on the real weights."""

import asyncio
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from judging import (
    ENGLISH,
    HINDI,
    PAIRS,
    Judge,
    Sound,
    english_words,
    hindi_letters,
    letter_errors,
    word_errors,
)

from engines.config import EngineConfig
from engines.contract import Speech, Utterance, synthesize
from engines.kokoro.adapter import KokoroEngine

RATE = 24_000
SAID_EN = ENGLISH[1::12]
SAID_HI = HINDI[4::12]
SAID_PAIRS = PAIRS[:12:2]

Say = Callable[[str, str], Sound]


@pytest.fixture(scope="module")
def judge(whisper_folder: Path) -> Judge:
    return Judge(whisper_folder)


@pytest.fixture(scope="module")
def say(kokoro_folder: Path) -> Say:
    """Speaks all that the tests hear, once."""
    wanted = [(text, "af_heart") for text in (*SAID_EN, *SHORT)]
    wanted += [(line.text, "hf_alpha") for line in SAID_HI]
    wanted += [(text, "hm_omega") for pair in SAID_PAIRS for text in pair[:1]]
    said = dict(zip(wanted, asyncio.run(_speak(kokoro_folder, wanted)), strict=True))
    return lambda text, voice: said[text, voice]


SHORT = ("Hello.", "Thank you.", "Yes.")


async def _speak(folder: Path, wanted: list[tuple[str, str]]) -> list[Sound]:
    engine = KokoroEngine(EngineConfig(name="KOKORO", type="KOKORO", model_path=folder))
    await engine.load()
    try:
        lines = [
            Utterance(text=text, voice=voice, language="hi" if voice.startswith("h") else "en")
            for text, voice in wanted
        ]
        outcomes = [outcome for line in lines for outcome in await synthesize(engine, [line])]
    finally:
        await engine.close()
    assert all(isinstance(outcome, Speech) for outcome in outcomes), outcomes
    assert engine.sample_rate == RATE
    return [(outcome.pcm / 32_768).astype(np.float32) for outcome in outcomes if isinstance(outcome, Speech)]


def test_english_is_understood(judge: Judge, say: Say) -> None:
    errors = total = 0
    for text in SAID_EN:
        said = english_words(text)
        heard = judge.listen(say(text, "af_heart"), RATE, "en").text()
        errors += word_errors(said, english_words(heard, said))
        total += len(said)
    assert errors / total <= 0.04, f"{errors} of {total} words"


@pytest.mark.parametrize("text", SHORT)
def test_a_short_text_is_heard_and_nothing_else(judge: Judge, say: Say, text: str) -> None:
    heard = judge.listen(say(text, "af_heart"), RATE, "en").text()
    assert english_words(heard) == english_words(text)


def test_hindi_is_understood(judge: Judge, say: Say) -> None:
    shares, certain = [], []
    for line in SAID_HI:
        hearing = judge.listen(say(line.text, "hf_alpha"), RATE, "hi")
        said = hindi_letters(line.reference)
        shares.append(letter_errors(said, hindi_letters(hearing.text())) / len(said))
        total, tokens = hearing.log_probability(line.reference)
        certain.append(total / tokens)
    assert statistics.median(shares) <= 0.4, shares
    assert statistics.fmean(certain) >= -1.6, certain  # ESPEAK has −1.7, KOKORO −1.3


def test_hindi_sentences_that_differ_in_a_word_are_told_apart(judge: Judge, say: Say) -> None:
    right = [
        judge.listen(say(said, "hm_omega"), RATE, "hi").likelier([said, other]) == 0
        for said, other in SAID_PAIRS
    ]
    assert sum(right) >= len(right) - 1, right


def test_what_is_not_said_is_not_heard(judge: Judge, say: Say) -> None:
    """The judge itself can fail a voice: speech backwards is no text, and another sentence is unlikely."""
    text = SAID_EN[0]
    backwards = say(text, "af_heart")[::-1].copy()
    said = english_words(text)
    assert word_errors(said, english_words(judge.listen(backwards, RATE, "en").text(), said)) > len(said) / 2
    hearing = judge.listen(say(SAID_HI[0].text, "hf_alpha"), RATE, "hi")
    assert hearing.likelier([line.reference for line in SAID_HI]) == 0
