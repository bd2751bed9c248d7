"""The base voice without weights: eSpeak NG, in separate processes."""

from collections.abc import AsyncGenerator, Hashable, Sequence
from typing import Final

from engines.config import EngineConfig
from engines.contract import Capabilities, Streamed, Utterance, Voice
from engines.espeak.adapter import EspeakEngine
from engines.openvoice.base import ToneColour

PITCHES: Final = {
    "onyx": 81.0,
    "cedar": 94.0,
    "echo": 99.0,
    "ballad": 109.0,
    "fable": 121.0,
    "alloy": 152.0,
    "sage": 157.0,
    "coral": 197.0,
    "nova": 205.0,
    "shimmer": 246.0,
}
"""Median pitch, in hertz, of the voices that speak any language, over eight sentences of English and Hindi.

Voices with the same pitch as another one are omitted, since their tone colour is replaced anyway.
"""

USUAL: Final = "alloy"
"""The voice for an unknown pitch, which is in the middle."""


class EmbeddedVoice:
    """eSpeak NG as a base voice; see :class:`engines.openvoice.base.BaseVoice`.

    Args:
        config: The engine's settings, of which the number of processes and the timeout are used.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._espeak = EspeakEngine(config.model_copy(update={"type": "ESPEAK", "options": {}}))

    @property
    def languages(self) -> Sequence[str]:
        """Languages of eSpeak NG."""
        return self._espeak.languages

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of eSpeak NG."""
        return self._espeak.capabilities

    @property
    def license(self) -> str:
        """Licence of eSpeak NG, which runs in separate processes."""
        return self._espeak.license

    def voices(self) -> Sequence[Voice]:
        """List the voices of eSpeak NG."""
        return self._espeak.voices()

    def voice_near(self, pitch: float, language: str) -> str:
        """Return the voice with the nearest pitch, in octaves.

        Raises:
            UnsupportedUtterance: eSpeak NG does not speak the language.
        """
        near = (
            min(PITCHES, key=lambda voice: max(PITCHES[voice] / pitch, pitch / PITCHES[voice]))
            if pitch
            else USUAL
        )
        self._espeak.casting(near, language)
        return near

    def speaker(self, utterance: Utterance) -> Hashable:
        """Return eSpeak NG's voice with its pitch, and the language if that determines the voice.

        Raises:
            UnsupportedUtterance: There is no such voice or language.
        """
        return self._espeak.casting(utterance.voice, utterance.language)

    async def load(self) -> None:
        """Start the processes.

        Raises:
            EngineUnavailable: eSpeak NG is not installed, or a process does not work.
        """
        await self._espeak.load()

    async def close(self) -> None:
        """End the processes."""
        await self._espeak.close()

    def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
        """Speak a batch in order, 200 ms at a time."""
        return self._espeak.stream(batch)

    async def tone_colour(self, utterance: Utterance) -> ToneColour | None:
        """Return ``None``: the tone colour is measured."""
        del utterance
        return None
