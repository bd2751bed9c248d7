"""From text to what the model is given."""

import itertools
from collections.abc import Sequence
from typing import Final

from engines.contract import UnsupportedUtterance
from engines.kokoro.pronunciation.alignment import by_word
from engines.kokoro.pronunciation.cutting import Pronounced, cut
from engines.kokoro.pronunciation.hindi import both
from engines.kokoro.pronunciation.languages import Speech, speech_in, speech_of
from engines.kokoro.pronunciation.phonemes import phonemes_of, phonemes_of_ipa
from engines.kokoro.pronunciation.phrase import Phrase
from engines.kokoro.pronunciation.reading import Word, words
from engines.phonemes.phonemizer import Phonemizer

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

        Raises:
            UnsupportedUtterance: The language cannot be pronounced, or nothing in the text can.
            EngineUnavailable: eSpeak NG is not installed, or was lost.
        """
        speech = speech_in(language)
        said: list[Pronounced] = []
        for clause in _clauses(words(text)):
            said += await self._clause(clause, speech)
        if not said:
            raise UnsupportedUtterance("There is nothing to speak in the text.", param="input")
        return cut(said, limit=limit, first_limit=first_limit)

    async def close(self) -> None:
        """End the process. Never raises; safe to repeat."""
        await self._phonemizer.close()

    async def _clause(self, clause: Sequence[Word], speech: Speech) -> list[Pronounced]:
        said: list[Pronounced] = []
        pending = ""
        for word, symbols in zip(clause, await self._symbols(clause, speech), strict=True):
            if not symbols:
                # the marks around what is not said go to its neighbours
                pending += word.before
                if said and word.stop and not said[-1].word.stop:
                    said[-1].word.after += word.stop
                continue
            word.before = pending + word.before
            pending = ""
            said.append(Pronounced(word, symbols))
        return said

    async def _symbols(self, clause: Sequence[Word], speech: Speech) -> list[str]:
        """The symbols of each word."""
        symbols: list[str] = []
        for (speaker, write), group in itertools.groupby(
            clause, key=lambda word: speech_of(word.text, speech)
        ):
            run = list(group)
            spelt = [_broken(speaker.spelling(word.text)) + "." * word.abbreviated for word in run]
            asked = [(speaker.voice, each) for each in (" ".join(spelt), *spelt)]
            asked += [(speaker.vowels, each) for each in spelt if speaker.vowels]
            whole, *alone = map(phonemes_of, await self._phonemizer.ipa(asked))
            said = by_word(whole, alone[: len(run)])
            if speaker.vowels:
                said = map(both, said, alone[len(run) :])
            symbols += [write(phonemes).strip() for phonemes in said]
        for index, word in enumerate(clause):
            if word.ipa:
                own = speech.symbols(phonemes_of_ipa(word.ipa, speech.table)).strip()
                symbols[index] = own or symbols[index]
        return symbols


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
