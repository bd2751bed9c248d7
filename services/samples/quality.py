"""Figures of a recording's quality, out of the measures of its frames."""

from typing import Final

import numpy as np
import numpy.typing as npt

from services.samples import takes
from services.samples.measure import BANDS, Frames
from services.samples.scratch import Samples
from services.samples.vad import Mask

BEST_SNR: Final = 60.0
"""Decibels; more is not told apart."""
MOST_STEPS: Final = 64
"""Of a fingerprint; 8 s."""

_CREST: Final = 2.0
"""That of nine voices was 2.5 to 4.1, of the same clipped by 18 dB and coded 1.2 to 1.8."""
_CREST_WEIGHT: Final = 0.6
_EDGE: Final = 3
"""Frames beside speech that are neither: it dies away in them."""
_ENOUGH: Final = 8
"""Frames of silence from which its level is known."""
_DIGITAL: Final = 1e-9
"""Power of a pause below which it was cut out, and tells nothing of the noise under the speech."""
_FALL: Final = 60.0
"""Decibels below the strongest band; what is weaker is not part of the voice."""
_BAND: Final = 250.0
"""Hertz of the bands in which the end of the spectrum is looked for."""
_PART: Final = 47
"""Frames of speech (1.5 s) in each part that is compared with the others to tell speakers apart."""
_VOICED: Final = 10
"""Frames that are voiced, at least, in such a part."""
_CEPSTRA: Final = 12
_STEP: Final = 4
"""Frames in a step of a fingerprint."""
_LOW: Final = 16
"""Bands of the mel spectrum that are below 3.4 kHz."""
_DEPTH: Final = 7.0
"""Of a fingerprint, in natural logarithms of power: 30 dB."""


def snr(frames: Frames) -> float | None:
    """Decibels of the speech over the noise, estimated; ``None`` without speech.

    The noise is what is heard in the pauses. Without pauses, or where they were cut out, it is what is
    left in the quietest moments of the speech.
    """
    if not frames.speech.any():
        return None
    speech = float(frames.power[frames.speech].mean())
    pauses = frames.power[_away(frames.speech)]
    # Not the median: breath and reverberation are no noise.
    noise = float(np.percentile(pauses, 40)) if pauses.size >= _ENOUGH else 0.0
    if noise < _DIGITAL:
        # The mask reaches some frames into the pause.
        heard = frames.power[frames.speech & (frames.power > _DIGITAL)]
        noise = float(np.percentile(heard, 3)) if heard.size else 0.0
    if noise <= 0:
        return BEST_SNR
    return float(np.clip(10 * np.log10(max(speech - noise, 1e-12) / noise), -20, BEST_SNR))


def clipping(frames: Frames, pile: float) -> float:
    """How clipped it is, 0 to 1, by what is found more clearly of two signs.

    Args:
        frames: Their crests, peak over effective value, are lower than any voice's. A lossy coding leaves
            that of strong clipping, and hides a weak one's.
        pile: See :attr:`services.samples.ceiling.Ceiling.pile`.
    """
    power = frames.power[frames.speech]
    loud = power > np.percentile(power, 80)
    if not loud.any():
        return pile
    crest = float(np.median(frames.peak[frames.speech][loud] / np.sqrt(power[loud])))
    return min(1.0, max(pile, _CREST_WEIGHT * (_CREST - crest)))


def bandwidth(frames: Frames) -> float:
    """Hertz up to which there is anything in the speech."""
    width = max(1, round(_BAND / frames.line))
    count = frames.spectrum.size // width
    bands = 10 * np.log10(frames.spectrum[: count * width].reshape(count, width).mean(1) + 1e-15)
    heard = np.flatnonzero(bands > bands.max(initial=-200) - _FALL)
    return float((heard[-1] + 1) * width * frames.line) if heard.size else 0.0


def voiced_ratio(frames: Frames) -> float:
    """Share of the speech that is voiced."""
    return float((frames.pitch[frames.speech] > 0).mean()) if frames.speech.any() else 0.0


def median_pitch(frames: Frames) -> float | None:
    """Hertz; ``None`` without a voiced frame."""
    voiced = frames.pitch[frames.pitch > 0]
    return float(np.median(voiced)) if voiced.size else None


def pitch_spread(frames: Frames) -> float | None:
    """Semitones between the low and the high parts; ``None`` when it is too short to tell."""
    parts = _parts(frames)
    if len(parts) < 3:  # noqa: PLR2004 - two say nothing of a spread
        return None
    pitches = [12 * np.log2(np.median(frames.pitch[part])) for part in parts]
    return float(np.percentile(pitches, 90) - np.percentile(pitches, 10))


def timbre_spread(frames: Frames) -> float | None:
    """How much better two timbres explain the recording than one, 0 to 1; ``None`` when it is too short."""
    parts = _parts(frames)
    if len(parts) < 4:  # noqa: PLR2004 - two for each of two speakers
        return None
    cepstra = np.stack([_cepstra(frames.mel[part]).mean(0) for part in parts])
    centred = cepstra - cepstra.mean(0)
    # The best split along the direction in which they differ most.
    order = np.argsort(centred @ np.linalg.svd(centred, full_matrices=False)[2][0])
    total = float((centred**2).sum())
    best = 0.0
    for at in range(2, len(order) - 1):
        low, high = centred[order[:at]], centred[order[at:]]
        between = at * (low.mean(0) ** 2).sum() + (len(order) - at) * (high.mean(0) ** 2).sum()
        best = max(best, float(between) / max(total, 1e-9))
    return best


def fingerprint(frames: Frames) -> tuple[int, ...]:
    """How the spectrum goes up and down from the first speech on, alike for all codings of one take.

    A step of 128 ms after the other, :data:`MOST_STEPS` at most, with :data:`takes.BANDS` numbers from
    -127 to 127 each; to be compared by :func:`services.samples.takes.likeness`. Empty without speech.
    """
    where = np.flatnonzero(frames.speech)
    if not where.size:
        return ()
    first, last = int(where[0]), int(where[-1]) + 1
    # What a telephone lets through.
    mel = frames.mel[first : min(last, first + (MOST_STEPS + 1) * _STEP), :_LOW].astype(np.float64)
    bands = mel.reshape(len(mel), takes.BANDS, -1).mean(2)
    # Noise and codings differ in what is quiet.
    bands = np.maximum(bands, np.percentile(bands, 95, axis=0) - _DEPTH)
    if len(bands) < 2 * _STEP:
        return ()
    # Two steps wide, so that it matters little where a step begins.
    wide = (
        np.lib.stride_tricks.sliding_window_view(bands, 2 * _STEP, 0)[::_STEP]
        @ np.bartlett(2 * _STEP + 1)[1:]
    )
    wide -= wide.mean(0)
    scaled = wide / max(float(np.sqrt((wide**2).mean())), 1e-9) * 32
    return tuple(int(value) for value in np.clip(np.rint(scaled), -127, 127).reshape(-1).tolist())


def _away(speech: Mask) -> Mask:
    """Frames that are far enough from speech."""
    spread = np.convolve(speech, np.ones(2 * _EDGE + 1), "same") if speech.size > 2 * _EDGE else speech
    return spread < 0.5  # noqa: PLR2004 - none there


def _parts(frames: Frames) -> list[npt.NDArray[np.intp]]:
    """The voiced frames of each 1.5 s of speech."""
    where = np.flatnonzero(frames.speech)
    parts = [where[start : start + _PART] for start in range(0, len(where) - _PART + 1, _PART)]
    voiced = [part[frames.pitch[part] > 0] for part in parts]
    return [part for part in voiced if part.size >= _VOICED]


def _cepstra(mel: Samples) -> Samples:
    """Without the first, which is the level."""
    angles = np.pi * np.outer(np.arange(BANDS) + 0.5, np.arange(1, _CEPSTRA + 1)) / BANDS
    return (mel @ np.cos(angles)).astype(np.float32)
