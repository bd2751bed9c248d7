"""The base voice: the speakers of a MeloTTS folder. Torch is imported only when it is loaded."""

import asyncio
from collections.abc import AsyncGenerator, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engines.config import Device
from engines.contract import (
    Abandoned,
    Capabilities,
    EngineError,
    EngineUnavailable,
    Speech,
    Streamed,
    UnsupportedUtterance,
    Utterance,
    Voice,
    WordTiming,
)
from engines.model_files import unreadable
from engines.openai_voices import OPENAI_VOICES
from engines.openvoice.base import ToneColour
from engines.openvoice.melo.configuration import CONFIG, MeloConfig, read_config
from engines.openvoice.melo.lexicon import Lexicon
from engines.openvoice.melo.manner import Manner
from engines.openvoice.melo.phonemizer import ArpabetPhonemizer
from engines.openvoice.melo.sequence import mark_of, missing_symbols
from engines.openvoice.melo.words import MARKS, Token, chunks, tokens
from engines.openvoice.options import Precision

if TYPE_CHECKING:
    from engines.openvoice.melo.speaking import Said, Speaking

LANGUAGES: Final = ("en", "en-au", "en-gb", "en-in", "en-us")
MAX_CHARS: Final = 400
"""Maximum length of a text in characters: half a minute; MeloTTS itself splits at 256 to 512 characters."""
MAX_PHONES: Final = 800
"""Maximum number of phones in a text; numbers in digits have many more phones than characters."""
SPEED_RANGE: Final = (0.5, 2.0)
_ACCENTS: Final = {
    "en-us": ("American", "en-us"),
    "en-br": ("British", "en-gb"),
    "en-india": ("Indian", "en-in"),
    "en-au": ("Australian", "en-au"),
    "en-default": ("English", "en"),
    "en-newest": ("English", "en"),
}
"""Name and language of MeloTTS's English speakers, by the names of their tone colours in OpenVoice V2."""
_USUAL: Final = ("en-default", "en-newest", "en-us")
"""Default speakers, in order of preference."""
_FOREIGN: Final = frozenset({"zh", "jp", "es", "sp", "fr", "kr"})
"""Prefixes of speakers of MeloTTS's other models, which are not supported."""


class MeloVoice:
    """English base voices from a MeloTTS folder; see :class:`engines.openvoice.base.BaseVoice`.

    Args:
        folder: Folder with ``config.json``, ``checkpoint.pth`` and, optionally, ``bert`` (bert-base-uncased),
            ``cmudict.rep`` or ``cmudict.dict``, and ``ses`` (the speakers' tone colours).
        device: Device that it runs on.
        precision: Precision of the decoder.
        threads: Number of CPU threads of a computation; by default one per core, at most eight.
        manner: Random variation; by default MeloTTS's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: Device = "auto",
        precision: Precision = "auto",
        threads: int | None = None,
        manner: Manner | None = None,
    ) -> None:
        self._folder = folder
        self._device: Device = device
        self._precision: Precision = precision
        self._threads = threads
        self._manner = manner or Manner()
        self._changing = asyncio.Lock()
        self._config: MeloConfig | None = None
        self._speaking: Speaking | None = None
        self._lexicon = Lexicon()
        self._phonemizer = ArpabetPhonemizer()

    @property
    def languages(self) -> Sequence[str]:
        """English, and those of its accents that have a speaker; MeloTTS has no Hindi."""
        spoken = {tag for voice in self.voices() for tag in voice.languages}
        return [tag for tag in LANGUAGES if tag in spoken]

    @property
    def capabilities(self) -> Capabilities:
        """Word timings and variable speed; repeatable only with a seed."""
        return Capabilities(word_timings=True, speed_range=SPEED_RANGE, max_chars=MAX_CHARS)

    @property
    def license(self) -> str:
        """Licence of MyShell's weights; eSpeak NG, used for pronunciation, runs in a separate process."""
        return "MIT"

    def voices(self) -> Sequence[Voice]:
        """List the folder's speakers; empty if its configuration cannot be read.

        The default speaker has OpenAI's names as aliases.
        """
        try:
            speakers = self._speakers()
        except EngineError:
            return ()
        usual = self._usual(speakers)
        return [
            Voice(
                id=voice,
                name=f"{_ACCENTS.get(voice, (voice, ''))[0]} (MeloTTS)",
                # Each speaks any English text, in its own accent.
                languages=tuple(dict.fromkeys([_accent(voice), "en"])),
                aliases=OPENAI_VOICES if voice == usual else (),
            )
            for voice in speakers
        ]

    def voice_near(self, pitch: float, language: str) -> str:
        """Return the speaker with the language's accent, or the default one; their pitch is unknown.

        Raises:
            UnsupportedUtterance: The language is not English.
            EngineUnavailable: The folder's configuration cannot be read.
        """
        del pitch
        _check_language(language)
        speakers = self._speakers()
        wanted = _tag(language)
        fitting = (voice for voice in speakers if wanted != "en" and _accent(voice) == wanted)
        return next(fitting, self._usual(speakers))

    def speaker(self, utterance: Utterance) -> Hashable:
        """Return the ID of the voice.

        Raises:
            UnsupportedUtterance: There is no such voice, or the language is not English.
            EngineUnavailable: The folder's configuration cannot be read.
        """
        return self._cast(utterance)

    async def load(self) -> None:
        """Load the weights and, if present, dictionary and BERT.

        Raises:
            EngineUnavailable: A file is missing or damaged, or a library is not installed.
        """
        async with self._changing:
            if self._speaking is None:
                await self._phonemizer.phones(["ready"])
                self._speaking = await asyncio.to_thread(self._read)

    async def close(self) -> None:
        """Unload the weights and end eSpeak NG. Never raises; idempotent."""
        async with self._changing:
            speaking, self._speaking = self._speaking, None
            self._config = None
            self._lexicon = Lexicon()
            await self._phonemizer.close()
            if speaking is not None:
                await asyncio.to_thread(speaking.close)

    async def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
        """Speak a batch, one utterance after the other.

        When the generator is closed, the current utterance is still computed to its end, in its thread.

        Raises:
            EngineUnavailable: The voice is not loaded.
        """
        speaking = self._speaking
        if speaking is None:
            raise EngineUnavailable("The base voice is not loaded.")
        for index, utterance in enumerate(batch):
            try:
                said, words = await self._say(speaking, utterance)
            except EngineError as error:
                yield index, error
                continue
            yield index, said.pcm
            timings = _timings(utterance.text, words, said) if utterance.timings else ()
            yield index, Speech(pcm=said.pcm[:0], words=timings)

    async def tone_colour(self, utterance: Utterance) -> ToneColour | None:
        """Return the speaker's tone colour from MyShell's ``base_speakers/ses``, if that is present.

        Raises:
            UnsupportedUtterance: There is no such voice, or the language is not English.
            EngineUnavailable: The file cannot be used.
        """
        from engines.openvoice.melo.tone_colours import shipped_tone_colour  # noqa: PLC0415 - imports torch

        return await asyncio.to_thread(shipped_tone_colour, self._folder, self._cast(utterance))

    async def _say(self, speaking: "Speaking", utterance: Utterance) -> "tuple[Said, list[Token]]":
        if utterance.abandoned():
            raise Abandoned("The utterance was abandoned.")
        voice = self._cast(utterance)
        if len(utterance.text) > MAX_CHARS:
            message = f"The text is {len(utterance.text)} characters long; MeloTTS's limit is {MAX_CHARS}."
            raise UnsupportedUtterance(message, param="input")
        words = tokens(utterance.text)
        phones = await self._pronounced(words)
        if not any(said and said[0] not in MARKS for said in phones):
            raise UnsupportedUtterance("The text contains nothing to speak.", param="input")
        if sum(map(len, phones)) > MAX_PHONES:
            message = f"The text has more than {MAX_PHONES} phones when it is spoken; that is too long."
            raise UnsupportedUtterance(message, param="input")
        said = await speaking.say(
            [word.text for word in words],
            phones,
            speaker=self._speakers()[voice],
            speed=min(max(utterance.speed, SPEED_RANGE[0]), SPEED_RANGE[1]),
            seed=utterance.seed,
        )
        return said, words

    async def _pronounced(self, words: Sequence[Token]) -> list[tuple[str, ...]]:
        known = [mark_of(word) for word in words]
        known = [
            self._lexicon.get(word.text) if said is None else said
            for word, said in zip(words, known, strict=True)
        ]
        asked = [word.text for word, said in zip(words, known, strict=True) if said is None]
        answers = iter(await self._phonemizer.phones(asked))
        return [next(answers) if said is None else said for said in known]

    def _read(self) -> "Speaking":
        try:
            from engines.openvoice.melo.speaking import Speaking  # noqa: PLC0415 - imports torch
        except ImportError as error:
            message = f"MeloTTS's voices need torch ({error}). Run `pip install 'awaaztwin[openvoice]'`."
            raise EngineUnavailable(message, retry_after=60.0) from error
        self._config = None  # the folder's contents may have changed
        self._speakers()
        lexicon = Lexicon.beside(self._folder)
        speaking = Speaking(
            self._folder,
            self._configuration(),
            device=self._device,
            precision=self._precision,
            threads=self._threads,
            manner=self._manner,
        )
        self._lexicon = lexicon
        return speaking

    def _cast(self, utterance: Utterance) -> str:
        _check_language(utterance.language)
        speakers = self._speakers()
        wanted = _id_of(utterance.voice)
        if wanted in speakers:
            return wanted
        if wanted in OPENAI_VOICES:
            return self._usual(speakers)
        raise UnsupportedUtterance(f"There is no voice {utterance.voice!r}.", param="voice")

    def _speakers(self) -> dict[str, int]:
        """Return the IDs of the English speakers, by voice."""
        config = self._configuration()
        return {
            _id_of(name): number
            for name, number in config.data.spk2id.items()
            if not _is_foreign(_id_of(name))
        }

    def _configuration(self) -> MeloConfig:
        if self._config is None:
            config = read_config(self._folder)
            path = self._folder / CONFIG
            if all(_is_foreign(_id_of(name)) for name in config.data.spk2id):
                names = ", ".join(config.data.spk2id)
                raise unreadable(path, f"its speakers are {names}, and only English can be spoken")
            missing = missing_symbols(config)
            if missing:
                raise unreadable(path, f"its symbols lack {', '.join(missing[:5])} of English")
            self._config = config
        return self._config

    @staticmethod
    def _usual(speakers: dict[str, int]) -> str:
        return next((voice for voice in _USUAL if voice in speakers), next(iter(speakers)))


def _timings(text: str, words: Sequence[Token], said: "Said") -> tuple[WordTiming, ...]:
    """Time each part of the text between white space; its punctuation belongs to the pause after it."""
    timings: list[WordTiming] = []
    for index, (offset, chunk) in enumerate(chunks(text)):
        times = [
            time
            for word, time in zip(words, said.times, strict=True)
            if word.chunk == index and mark_of(word) is None and time[1] > time[0]
        ]
        inner = [place for place, character in enumerate(chunk) if character.isalnum()]
        if times and inner:
            first, last = inner[0], inner[-1]
            timings.append(WordTiming(chunk[first : last + 1], times[0][0], times[-1][1], offset + first))
    return tuple(timings)


def _id_of(name: str) -> str:
    """Return a speaker's voice, by MyShell's rule for tone colours' files: ``EN_INDIA`` is ``en-india``."""
    return name.lower().replace("_", "-")


def _is_foreign(voice: str) -> bool:
    return voice.partition("-")[0] in _FOREIGN


def _accent(voice: str) -> str:
    return _ACCENTS.get(voice, ("", "en"))[1]


def _tag(language: str) -> str:
    return language.lower().replace("_", "-")


def _check_language(language: str) -> None:
    if _tag(language).partition("-")[0] != "en":
        message = f"MeloTTS's voices here speak English, not {language!r}; MeloTTS itself has no Hindi."
        raise UnsupportedUtterance(message, param="language")
