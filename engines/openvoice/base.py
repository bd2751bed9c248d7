"""Base voices: the speech before the conversion of its tone colour."""

from collections.abc import AsyncGenerator, Hashable, Sequence
from typing import Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from engines.contract import Capabilities, Streamed, Utterance, Voice

ToneColour: TypeAlias = npt.NDArray[np.float32]
"""The converter's representation of a speaker, shape ``(256,)`` in MyShell's checkpoint."""

SAMPLE_RATE: Final = 22_050
"""Sample rate of base voices and the converter, in hertz: MyShell's ``sampling_rate``."""


@runtime_checkable
class BaseVoice(Protocol):
    """Produces the speech to convert, which keeps its words, rate, pitch and intonation.

    It resembles :class:`engines.contract.EngineAdapter`: its constructor loads nothing, everything but
    ``stream`` and ``tone_colour`` works before ``load``, and ``load`` and ``close`` may alternate any number
    of times.
    """

    @property
    def languages(self) -> Sequence[str]:
        """BCP-47 tags of the supported languages."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities: only ``word_timings``, ``speed_range``, ``max_chars``, ``deterministic`` are used."""
        ...

    @property
    def license(self) -> str:
        """SPDX identifier or name of the licence."""
        ...

    def voices(self) -> Sequence[Voice]:
        """List the base's own voices, which speak unconverted when requested by ID or alias."""
        ...

    def voice_near(self, pitch: float, language: str) -> str:
        """Return the ID of the voice that speaks for a cloned one.

        Args:
            pitch: Pitch of the recordings in hertz, which the conversion does not change; 0 if unknown.
            language: Language of the utterance.

        Raises:
            UnsupportedUtterance: There is no voice for the language.
        """
        ...

    def speaker(self, utterance: Utterance) -> Hashable:
        """Return the speaker of an utterance, regardless of its text; equal speakers have equal tone colours.

        Raises:
            UnsupportedUtterance: There is no such voice or language.
        """
        ...

    async def load(self) -> None:
        """Load the voice.

        Raises:
            EngineUnavailable: A requirement is missing or damaged; the message says which.
        """
        ...

    async def close(self) -> None:
        """Free all resources. Never raises; idempotent."""
        ...

    def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
        """Speak a batch at :data:`SAMPLE_RATE`, as :meth:`engines.contract.StreamingEngine.stream` does.

        Calls may run concurrently. ``prepared`` is ``None`` in every utterance.

        Raises:
            EngineUnavailable: The voice is not loaded.
        """
        ...

    async def tone_colour(self, utterance: Utterance) -> ToneColour | None:
        """Return the tone colour shipped for an utterance's speaker; ``None`` to measure it from speech."""
        ...
