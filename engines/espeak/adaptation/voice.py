"""A prepared voice: eSpeak NG's parameters, and the change of its spectrum."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from engines.contract import UnsupportedUtterance, VoiceEmbeddingRef
from engines.espeak.adaptation.delivery import BASES, Delivery
from engines.espeak.adaptation.neighbours import Neighbours
from engines.recordings.prepared import check_model
from engines.recordings.spectra import AUDIBLE, BANDS, CEPSTRA, Analysis, Floats, smoothed

CONTEXT: Final = 12
"""Frames of context on either side: more than pitch, slope and smoothing need."""
MOST_FRAMES: Final = 4_096
"""Maximum number of frames with known residuals: 1.2 MB."""
_SLOPE: Final = 3
"""Distance of the frames on either side whose difference is a frame's slope."""
_FEATURES: Final = 2 * CEPSTRA
_SMOOTHING: Final = 1
_PULL: Final = 0.5
"""Fraction by which a frame is moved to its neighbours, before their residual is added."""
_FADE: Final = 3.0
"""Nepers of power below the level of speech down to which frames are changed."""
_SCALE: Final = 100.0
"""Exclusive upper bound of eSpeak NG's pitch and pitch range."""
_LARGEST: Final = 1e4
"""Bound of all values, far beyond any sensible one."""
_OCTAVE: Final = 2.0
_NONE: Final[Floats] = np.zeros((0, 0), np.float32)


@dataclass(frozen=True, eq=False)
class Manner:
    """The change from eSpeak NG's cepstra to the speaker's.

    Attributes:
        scale: Factors for unvoiced and for voiced frames, shape ``(2, CEPSTRA)``.
        offset: Offsets added after scaling, shape ``(2, CEPSTRA)``.
        weights: Weights of features in distances, shape ``(2 * CEPSTRA,)``.
        places: Weighted features of frames after scale and offset, shape ``(frames, 2 * CEPSTRA)``; may be
            empty.
        values: Residuals of those frames, shape ``(frames, CEPSTRA)``.
        loud: Level of eSpeak NG's loudest frames; see ``Analysis.loud``.
    """

    scale: Floats
    offset: Floats
    weights: Floats
    places: Floats
    values: Floats
    loud: float

    def moved(self, speech: Analysis) -> Floats:
        """Return the cepstra with the speaker's mean and variance, shape ``(frames, CEPSTRA)``."""
        voiced = speech.voiced.astype(np.intp)
        return speech.cepstra * self.scale[voiced] + self.offset[voiced]

    def louder(self, nepers: float) -> "Manner":
        """Return a copy with more power, in nepers."""
        offset = self.offset.copy()
        offset[:, 0] += np.float32(nepers * np.sqrt(BANDS))  # the first cepstral coefficient of a constant
        return replace(self, offset=offset)


@dataclass(frozen=True, eq=False)
class AdaptedVoice:
    """A prepared voice for eSpeak NG.

    Attributes:
        delivery: Parameters for eSpeak NG.
        manner: The change of its spectrum.
    """

    delivery: Delivery
    manner: Manner

    def to_tensors(self) -> dict[str, Floats]:
        """Return the voice as arrays by name."""
        d, m = self.delivery, self.manner
        numbers = [d.base, d.pitch, d.pitch_range, d.stretch, m.loud]
        return {
            "delivery": np.array(numbers, np.float32),
            "scale": m.scale,
            "offset": m.offset,
            "weights": m.weights,
            "places": m.places,
            "values": m.values,
        }

    @classmethod
    def from_prepared(cls, prepared: VoiceEmbeddingRef, model: str) -> "AdaptedVoice":
        """Read a prepared voice.

        Raises:
            UnsupportedUtterance: The voice is for another model than ``model``, or damaged.
        """
        check_model(prepared, model)
        return cls.from_tensors(prepared.tensors)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Floats]) -> "AdaptedVoice":
        """Read the result of :meth:`to_tensors`.

        Raises:
            UnsupportedUtterance: An array is missing or invalid.
        """
        frames = min(len(tensors.get("places", _NONE)), MOST_FRAMES)
        shapes = {
            "delivery": (5,),
            "scale": (2, CEPSTRA),
            "offset": (2, CEPSTRA),
            "weights": (_FEATURES,),
            "places": (frames, _FEATURES),
            "values": (frames, CEPSTRA),
        }
        for name, shape in shapes.items():
            tensor = tensors.get(name)
            if tensor is None or tensor.shape != shape or not (np.abs(tensor) < _LARGEST).all():
                raise UnsupportedUtterance(
                    f"The prepared voice is damaged: {name!r} is invalid.", param="voice"
                )
        base, pitch, pitch_range, stretch, loud = (float(number) for number in tensors["delivery"])
        in_scale = all(0 <= number < _SCALE for number in (pitch, pitch_range))
        if not (
            0 <= base < len(BASES)
            and in_scale
            and 1 / _OCTAVE < stretch < _OCTAVE
            and tensors["weights"].min() > 0
        ):
            raise UnsupportedUtterance(
                "The prepared voice is damaged: its numbers are out of range.", param="voice"
            )
        manner = Manner(
            tensors["scale"],
            tensors["offset"],
            tensors["weights"],
            tensors["places"],
            tensors["values"],
            loud,
        )
        return cls(Delivery(int(base), int(pitch), int(pitch_range), stretch), manner)


class Mover:
    """Changes cepstra to a speaker's.

    Args:
        manner: The change.
    """

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._neighbours: Neighbours | None = None
        if len(manner.places):
            values = manner.values + _PULL * manner.places[:, :CEPSTRA] / manner.weights[:CEPSTRA]
            self._neighbours = Neighbours(manner.places, values.astype(np.float32, copy=False))

    def change(self, speech: Analysis) -> Floats:
        """Return the change of each frame's cepstra, shape ``(frames, CEPSTRA)``; zero in pauses."""
        moved = self._manner.moved(speech)
        change = moved - speech.cepstra
        if self._neighbours is not None:
            wanted = with_slopes(moved) * self._manner.weights
            pulled = self._neighbours.mean(wanted) - _PULL * moved
            change += smoothed(pulled.astype(np.float32, copy=False), _SMOOTHING)
        change[speech.level < self._manner.loud - AUDIBLE - _FADE] = 0
        return smoothed(change, _SMOOTHING)


def with_slopes(cepstra: Floats) -> Floats:
    """Return cepstra and their slopes over three frames on either side, shape ``(frames, 2 * CEPSTRA)``."""
    padded = np.pad(cepstra, ((_SLOPE, _SLOPE), (0, 0)), mode="edge")
    return np.concatenate([cepstra, padded[2 * _SLOPE :] - padded[: -2 * _SLOPE]], axis=1)
