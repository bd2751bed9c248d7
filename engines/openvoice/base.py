"""What speaks before the tone colour is converted."""

from collections.abc import AsyncGenerator, Hashable, Sequence
from typing import Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from engines.contract import Capabilities, Streamed, Utterance, Voice

ToneColour: TypeAlias = npt.NDArray[np.float32]
"""What the converter knows of a speaker, shape ``(256,)`` in MyShell's checkpoint."""

SAMPLE_RATE: Final = 22_050
"""Hertz of what a base voice gives and the converter takes: MyShell's ``sampling_rate``."""


@runtime_checkable
class BaseVoice(Protocol):
    """The speech that is converted: words, rate, pitch and melody are its own, the tone colour is not.

    Much of it is as in :class:`engines.contract.EngineAdapter`: making one loads nothing, everything but
    ``stream`` and ``tone_colour`` works before ``load``; ``load`` and ``close`` alternate, any number of
    times.
    """

    @property
    def languages(self) -> Sequence[str]:
        """BCP-47 tags it speaks."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """Its ``word_timings``, ``speed_range``, ``max_chars`` and ``deterministic`` count, and no other."""
        ...

    @property
    def license(self) -> str:
        """SPDX identifier, or the name, of its licence."""
        ...

    def voices(self) -> Sequence[Voice]:
        """The voices it has; each speaks plainly when it is asked for by its id or alias."""
        ...

    def voice_near(self, pitch: float, language: str) -> str:
        """The id of the voice that speaks for a cloned one.

        Args:
            pitch: Of the recordings, in hertz; conversion leaves a voice's pitch as it is. 0: not known.
            language: What is to be spoken.

        Raises:
            UnsupportedUtterance: There is no voice for the language.
        """
        ...

    def speaker(self, utterance: Utterance) -> Hashable:
        """Who speaks an utterance, whatever it says: those with equal speakers have one tone colour.

        Raises:
            UnsupportedUtterance: There is no such voice or language.
        """
        ...

    async def load(self) -> None:
        """Make it ready to speak.

        Raises:
            EngineUnavailable: Something it needs is missing or broken; the message says what.
        """
        ...

    async def close(self) -> None:
        """Give everything back. Never raises; safe to repeat."""
        ...

    def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
        """Speak a batch at :data:`SAMPLE_RATE`, as :meth:`engines.contract.StreamingEngine.stream` does.

        Several calls run side by side. ``prepared`` is ``None`` in every utterance.

        Raises:
            EngineUnavailable: It is not loaded.
        """
        ...

    async def tone_colour(self, utterance: Utterance) -> ToneColour | None:
        """The tone colour that was shipped for who speaks an utterance; ``None``: measure it from speech."""
        ...
