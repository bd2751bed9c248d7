"""Who speaks: the seam to speaker embedding models, which are not part of the base install."""

import importlib.util
from typing import Protocol

import numpy as np
import numpy.typing as npt

from services.samples.report import SpeakerEmbedding, cosine


class SpeakerModel(Protocol):
    """Turns speech into a direction that is alike for one speaker."""

    @property
    def name(self) -> str:
        """Package and version; embeddings of different names cannot be compared."""
        ...

    def embed(self, pcm: npt.NDArray[np.float32], sample_rate: int) -> npt.NDArray[np.float32]:
        """The embedding of some speech, of length one.

        Args:
            pcm: Mono, full scale 1.
            sample_rate: Hertz.
        """
        ...


def find_speaker_model() -> SpeakerModel | None:
    """The model that is installed (extra ``speaker``), not loaded yet; ``None`` without one."""
    if importlib.util.find_spec("resemblyzer") is None or importlib.util.find_spec("torch") is None:
        return None
    from services.samples.resemblyzer_model import ResemblyzerModel  # noqa: PLC0415 - in an extra

    return ResemblyzerModel()


def compare(one: SpeakerEmbedding | None, other: SpeakerEmbedding | None) -> float | None:
    """The cosine of two embeddings; ``None`` unless one model made both."""
    if one is None or other is None or one.model != other.model or len(one.values) != len(other.values):
        return None
    return cosine(one.values, other.values)
