"""Styles of voices: 256 values per length of a phrase, for the decoder, and for pitch and duration."""

from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from safetensors import numpy as safetensors

from engines.contract import EngineUnavailable, UnsupportedUtterance
from engines.kokoro.catalogue import voice_file

Floats = npt.NDArray[np.float32]

LENGTHS: Final = 510
VALUES: Final = 256
PACKAGED: Final = Path(__file__).with_name("voices.safetensors")
"""The voices behind OpenAI's names in float16: Kokoro-82M 1.0, Apache-2.0."""


class Styles:
    """The styles of the available voices.

    Args:
        folder: The model's folder; voices that are not packaged are read from ``voices/<id>.bin`` in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._packs: dict[str, Floats] = {}

    def style(self, mix: tuple[tuple[str, float], ...], symbols: int) -> Floats:
        """Return the style of a phrase, shape ``(256,)``; that of a mix is the weighted sum of its voices'.

        Args:
            mix: Voice IDs with their weights.
            symbols: Number of symbols in the phrase.

        Raises:
            UnsupportedUtterance: A voice has not been fetched.
            EngineUnavailable: The file of a voice is unreadable or invalid.
        """
        row = min(max(symbols, 1), LENGTHS) - 1
        total = np.zeros(VALUES, np.float32)
        for voice, weight in mix:
            total += np.float32(weight) * self._pack(voice)[row]
        return total

    def _pack(self, voice: str) -> Floats:
        """Return all styles of a voice, shape ``(510, 256)``."""
        pack = self._packs.get(voice)
        if pack is None:
            pack = self._packs[voice] = self._read(voice)
        return pack

    def _read(self, voice: str) -> Floats:
        if voice in self._packaged:
            return self._packaged[voice].astype(np.float32)
        path = voice_file(self._folder, voice)
        try:
            values = np.fromfile(path, "<f4", count=LENGTHS * VALUES + 1)
        except FileNotFoundError:
            message = f"The voice '{voice}' has not been fetched. `awaaztwin models pull kokoro` fetches it."
            raise UnsupportedUtterance(message, param="voice") from None
        except OSError as error:
            raise EngineUnavailable(f"{path} cannot be read: {error.strerror}.") from error
        if values.size != LENGTHS * VALUES or not np.isfinite(values).all():
            raise EngineUnavailable(
                f"{path} is not a voice of Kokoro: it needs {LENGTHS} × {VALUES} float32."
            )
        return values.astype(np.float32).reshape(LENGTHS, VALUES)

    @cached_property
    def _packaged(self) -> dict[str, npt.NDArray[np.float16]]:
        library: Any = safetensors
        return library.load_file(PACKAGED)
