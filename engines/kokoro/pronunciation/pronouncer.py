"""Conversion of text to phrases for the model."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property, reduce
from typing import Final

from engines.contract import UnsupportedUtterance
from engines.kokoro.pronunciation.alignment import Aligner
from engines.kokoro.pronunciation.cutting import Pronounced, cut
from engines.kokoro.pronunciation.hindi import both
from engines.kokoro.pronunciation.languages import Speech, speech_in, speech_of
from engines.kokoro.pronunciation.phonemes import phonemes_of, phonemes_of_ipa
from engines.kokoro.pronunciation.phrase import Phrase
from engines.kokoro.pronunciation.reading import Word, with_mark, words
from engines.kokoro.pronunciation.scripts import has_foreign, legible
from engines.phonemes.phonemizer import Phonemizer, Question

LONGEST_WORD: Final = 80
"""Maximum length of a word in characters. eSpeak NG truncates words of twice that length."""


class Pronouncer:
    """Converts texts to phrases. It owns an eSpeak NG process, which any number of tasks may use."""

    def __init__(self) -> None:
        self._phonemizer = Phonemizer()

    @property
    def pid(self) -> int | None:
        """ID of the process; ``None`` if none is running."""
        return self._phonemizer.pid

    async def phrases(self, text: str, language: str, *, limit: int, first_limit: int) -> list[Phrase]:
        """Convert a text to phrases for the model, in order.

        Args:
            text: ``Utterance.text``.
            language: BCP-47 tag of the text, which also determines the accent.
            limit: Maximum number of symbols per phrase; at most 250, since near 510 the model rushes.
            first_limit: Maximum number of symbols in the first phrase, if a clause or word ends there.

        Returns:
            At least one phrase, unless all letters are of unsupported scripts.

        Raises:
            UnsupportedUtterance: The language is not supported, or there is nothing to speak.
            EngineUnavailable: eSpeak NG is not installed, or exited twice.
        """
        speech = speech_in(language)
        found = words(text)
        runs = [run for clause in _clauses(found) for run in _runs(clause, speech)]
        answers = await self._phonemizer.ipa([question for run in runs for question in run.questions])
        symbols = await asyncio.to_thread(_symbols, runs, answers)
        for index, word in enumerate(found):
            if word.ipa:
                _, writer = speech_of(word.text, speech)
                own = writer.symbols(phonemes_of_ipa(word.ipa, writer.table)).strip()
                symbols[index] = own or symbols[index]
        said = _audible(found, symbols)
        if not said:
            if has_foreign(text):
                return []  # it may be one sentence of a longer text
            raise UnsupportedUtterance("The text contains nothing to speak.", param="input")
        return cut(said, limit=limit, first_limit=first_limit)

    async def close(self) -> None:
        """End the process. Never raises; idempotent."""
        await self._phonemizer.close()


class _Run:
    """Words of one clause with the same voice of eSpeak NG.

    Args:
        words: The words.
        speech: Pronunciation that the phonemes are taken from.
        writer: Pronunciation that the symbols are taken from.
    """

    def __init__(self, words: Sequence[Word], speech: Speech, writer: Speech) -> None:
        self._words = words
        self._speech = speech
        self._writer = writer

    @cached_property
    def questions(self) -> list[Question]:
        """Queries for the clause, for each word alone, and for each word alone in the second voice."""
        speech = self._speech
        spelt = [
            _broken(speech.spelling(legible(word.text))) + "." * word.abbreviated for word in self._words
        ]
        asked = [(speech.voice, text) for text in (" ".join(spelt), *spelt)]
        return asked + [(speech.vowels, text) for text in spelt if speech.vowels]

    def symbols(self, answers: Sequence[Sequence[str]], aligner: Aligner) -> list[str]:
        """Return the symbols of each word.

        Args:
            answers: Phonemes, one list per question.
            aligner: Aligner of the whole text.
        """
        whole, *alone = answers
        count = len(self._words)
        said = aligner.by_word(whole, alone[:count])
        if self._speech.vowels:
            said = [both(*pair) for pair in zip(said, alone[count:], strict=True)]
        return [self._writer.symbols(phonemes).strip() for phonemes in said]


def _symbols(runs: Sequence[_Run], answers: Sequence[str]) -> list[str]:
    """Return the symbols of each word of a text.

    Args:
        runs: Runs in order.
        answers: Answers to the questions of all runs.
    """
    waiting = iter(answers)
    aligner = Aligner()
    return [
        symbols
        for run in runs
        for symbols in run.symbols([phonemes_of(next(waiting)) for _ in run.questions], aligner)
    ]


def _runs(clause: Sequence[Word], speech: Speech) -> Iterator[_Run]:
    for (speaker, writer), group in itertools.groupby(clause, key=lambda word: speech_of(word.text, speech)):
        yield _Run(list(group), speaker, writer)


def _audible(found: Sequence[Word], symbols: Sequence[str]) -> list[Pronounced]:
    """Return the audible words; the marks around silent ones move to their neighbours."""
    said: list[Pronounced] = []
    pending = ""
    for word, sounds in zip(found, symbols, strict=True):
        pending = reduce(with_mark, word.before, pending)
        if sounds:
            word.before, pending = pending, ""
            said.append(Pronounced(word, sounds))
            continue
        if said and word.stop and not said[-1].word.stop:
            said[-1].word.after += word.stop
    return said


def _broken(word: str) -> str:
    """Split a word by spaces if it is too long for eSpeak NG."""
    if len(word) <= LONGEST_WORD:
        return word
    return " ".join(word[at : at + LONGEST_WORD] for at in range(0, len(word), LONGEST_WORD))


def _clauses(spoken: Sequence[Word]) -> list[list[Word]]:
    clauses: list[list[Word]] = [[]]
    for word in spoken:
        clauses[-1].append(word)
        if word.stop:
            clauses.append([])
    return [clause for clause in clauses if clause]
