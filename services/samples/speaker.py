"""Interface to speaker embedding models, which are not part of the base install."""

import importlib.util
from typing import Protocol

import numpy as np
import numpy.typing as npt

from services.samples.report import SpeakerEmbedding, cosine


class SpeakerModel(Protocol):
    """Embeds speech as a unit vector; vectors of the same speaker are similar."""

    @property
    def name(self) -> str:
        """Package and version; embeddings of models with different names cannot be compared."""
        ...

    def embed(self, pcm: npt.NDArray[np.float32], sample_rate: int) -> npt.NDArray[np.float32]:
        """Embed speech as a unit vector, shape ``(dimensions,)``.

        Args:
            pcm: Mono, shape ``(samples,)``; full scale is 1.
            sample_rate: In hertz.
        """
        ...


def find_speaker_model() -> SpeakerModel | None:
    """Return the installed model (extra ``speaker``), not loaded yet; ``None`` without one."""
    if importlib.util.find_spec("resemblyzer") is None or importlib.util.find_spec("torch") is None:
        return None
    from services.samples.resemblyzer_model import ResemblyzerModel  # noqa: PLC0415 - in an extra

    return ResemblyzerModel()


def compare(one: SpeakerEmbedding | None, other: SpeakerEmbedding | None) -> float | None:
    """Return the cosine of two embeddings; ``None`` if one is missing or their models differ."""
    if one is None or other is None or one.model != other.model or len(one.values) != len(other.values):
        return None
    return cosine(one.values, other.values)
