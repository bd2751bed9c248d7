"""From text to what the model is given."""

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
"""Characters. eSpeak NG leaves out the end of words of twice the length."""


class Pronouncer:
    """Says how texts sound. It owns the process that knows; any number of tasks may ask."""

    def __init__(self) -> None:
        self._phonemizer = Phonemizer()

    @property
    def pid(self) -> int | None:
        """Id of the process, while there is one."""
        return self._phonemizer.pid

    async def phrases(self, text: str, language: str, *, limit: int, first_limit: int) -> list[Phrase]:
        """A text in phrases for the model, in order.

        Args:
            text: ``Utterance.text``.
            language: BCP-47 tag of the text, which is also the accent of the voice.
            limit: Symbols of a phrase, at most 250: nearer to 510 the model hurries.
            first_limit: Symbols of the first phrase, where a clause or word ends there.

        Returns:
            At least one, unless all letters are of scripts that are not read.

        Raises:
            UnsupportedUtterance: The language cannot be pronounced, or there is nothing to speak.
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
                return []  # a sentence of a longer text, which goes on
            raise UnsupportedUtterance("The text contains nothing to speak.", param="input")
        return cut(said, limit=limit, first_limit=first_limit)

    async def close(self) -> None:
        """End the process. Never raises; safe to repeat."""
        await self._phonemizer.close()


class _Run:
    """Words of one clause that the same voice of eSpeak NG says.

    Args:
        words: The words.
        speech: How they are pronounced.
        writer: Has the symbols of their phonemes.
    """

    def __init__(self, words: Sequence[Word], speech: Speech, writer: Speech) -> None:
        self._words = words
        self._speech = speech
        self._writer = writer

    @cached_property
    def questions(self) -> list[Question]:
        """The clause, each word alone, and each alone in the second voice."""
        speech = self._speech
        spelt = [
            _broken(speech.spelling(legible(word.text))) + "." * word.abbreviated for word in self._words
        ]
        asked = [(speech.voice, text) for text in (" ".join(spelt), *spelt)]
        return asked + [(speech.vowels, text) for text in spelt if speech.vowels]

    def symbols(self, answers: Sequence[Sequence[str]], aligner: Aligner) -> list[str]:
        """The symbols of each word.

        Args:
            answers: Phonemes, one list for each of the questions.
            aligner: Of the whole text.
        """
        whole, *alone = answers
        count = len(self._words)
        said = aligner.by_word(whole, alone[:count])
        if self._speech.vowels:
            said = [both(*pair) for pair in zip(said, alone[count:], strict=True)]
        return [self._writer.symbols(phonemes).strip() for phonemes in said]


def _symbols(runs: Sequence[_Run], answers: Sequence[str]) -> list[str]:
    """The symbols of each word of a text.

    Args:
        runs: In order.
        answers: To the questions of all of them.
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
    """The words that are heard; the marks around the others go to their neighbours."""
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
    """The word, in pieces where it is too long for eSpeak NG."""
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
