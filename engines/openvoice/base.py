"""Base voices: the speech before the tone colour is converted."""

from collections.abc import AsyncGenerator, Hashable, Sequence
from typing import Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from engines.contract import Capabilities, Streamed, Utterance, Voice

ToneColour: TypeAlias = npt.NDArray[np.float32]
"""The converter's representation of a speaker, shape ``(256,)`` in MyShell's checkpoint."""

SAMPLE_RATE: Final = 22_050
"""Hertz of base voices and the converter: MyShell's ``sampling_rate``."""


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
        """Its ``word_timings``, ``speed_range``, ``max_chars`` and ``deterministic`` count, and no others."""
        ...

    @property
    def license(self) -> str:
        """SPDX identifier, or the name, of its licence."""
        ...

    def voices(self) -> Sequence[Voice]:
        """Its own voices; each speaks unconverted when it is requested by its id or alias."""
        ...

    def voice_near(self, pitch: float, language: str) -> str:
        """The id of the voice that speaks for a cloned one.

        Args:
            pitch: Of the recordings, in hertz; conversion does not change a voice's pitch. 0: not known.
            language: Of the utterance.

        Raises:
            UnsupportedUtterance: There is no voice for the language.
        """
        ...

    def speaker(self, utterance: Utterance) -> Hashable:
        """The speaker of an utterance, independent of its text: equal speakers have the same tone colour.

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
        """Free everything. Never raises; safe to repeat."""
        ...

    def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
        """Speak a batch at :data:`SAMPLE_RATE`, as :meth:`engines.contract.StreamingEngine.stream` does.

        Several calls run side by side. ``prepared`` is ``None`` in every utterance.

        Raises:
            EngineUnavailable: It is not loaded.
        """
        ...

    async def tone_colour(self, utterance: Utterance) -> ToneColour | None:
        """The tone colour that is shipped for an utterance's speaker; ``None``: measure it from speech."""
        ...
