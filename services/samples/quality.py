"""Figures of a recording's quality, computed from the measurements of its frames."""

from typing import Final

import numpy as np
import numpy.typing as npt

from services.samples import takes
from services.samples.measure import BANDS, Frames
from services.samples.scratch import Samples
from services.samples.vad import Mask

BEST_SNR: Final = 60.0
"""Highest SNR that is reported, in decibels."""
MOST_STEPS: Final = 64
"""Maximum number of steps in a fingerprint; 8 s."""

_CREST: Final = 2.0
"""Crest factor below which speech counts as clipped.

Nine voices had 2.5 to 4.1; the same voices, clipped by 18 dB and then coded, had 1.2 to 1.8.
"""
_CREST_WEIGHT: Final = 0.6
_EDGE: Final = 3
"""Number of frames next to speech that count as neither speech nor pause: speech decays in them."""
_ENOUGH: Final = 8
"""Number of pause frames that suffice to measure the noise."""
_DIGITAL: Final = 1e-9
"""Power below which a pause is digital silence, and says nothing about the noise under the speech."""
_FALL: Final = 60.0
"""Decibels below the strongest band, at which a band no longer belongs to the voice."""
_BAND: Final = 250.0
"""Width in hertz of the bands that are searched for the end of the spectrum."""
_PART: Final = 47
"""Number of frames of speech (1.5 s) in each of the parts that are compared to tell speakers apart."""
_VOICED: Final = 10
"""Minimum number of voiced frames in such a part."""
_CEPSTRA: Final = 12
_STEP: Final = 4
"""Number of frames in a step of a fingerprint."""
_LOW: Final = 16
"""Number of bands of the mel spectrum that are below 3.4 kHz."""
_DEPTH: Final = 7.0
"""Dynamic range of a fingerprint, in natural logarithms of power: 30 dB."""


def snr(frames: Frames) -> float | None:
    """Estimate the signal-to-noise ratio of the speech in decibels; ``None`` without speech.

    The noise is measured in the pauses or, if there are none or they are digital silence, in the quietest
    moments of the speech.
    """
    if not frames.speech.any():
        return None
    speech = float(frames.power[frames.speech].mean())
    pauses = frames.power[_away(frames.speech)]
    # A lower percentile than the median: breath and reverberation are not noise.
    noise = float(np.percentile(pauses, 40)) if pauses.size >= _ENOUGH else 0.0
    if noise < _DIGITAL:
        # The speech mask extends some frames into the pauses.
        heard = frames.power[frames.speech & (frames.power > _DIGITAL)]
        noise = float(np.percentile(heard, 3)) if heard.size else 0.0
    if noise <= 0:
        return BEST_SNR
    return float(np.clip(10 * np.log10(max(speech - noise, 1e-12) / noise), -20, BEST_SNR))


def clipping(frames: Frames, pile: float) -> float:
    """Rate the clipping from 0 to 1, by the stronger of two indicators.

    Args:
        frames: Clipping lowers their crest factor (peak over RMS) below that of any voice. After lossy
            coding, this shows only strong clipping.
        pile: The other indicator; see :attr:`services.samples.ceiling.Ceiling.pile`.
    """
    power = frames.power[frames.speech]
    loud = power > np.percentile(power, 80)
    if not loud.any():
        return pile
    crest = float(np.median(frames.peak[frames.speech][loud] / np.sqrt(power[loud])))
    return min(1.0, max(pile, _CREST_WEIGHT * (_CREST - crest)))


def bandwidth(frames: Frames) -> float:
    """Return the highest frequency with signal in the speech, in hertz; 0 without any."""
    width = max(1, round(_BAND / frames.line))
    count = frames.spectrum.size // width
    bands = 10 * np.log10(frames.spectrum[: count * width].reshape(count, width).mean(1) + 1e-15)
    heard = np.flatnonzero(bands > bands.max(initial=-200) - _FALL)
    return float((heard[-1] + 1) * width * frames.line) if heard.size else 0.0


def voiced_ratio(frames: Frames) -> float:
    """Return the share of the speech that is voiced, 0 to 1."""
    return float((frames.pitch[frames.speech] > 0).mean()) if frames.speech.any() else 0.0


def median_pitch(frames: Frames) -> float | None:
    """Return the median pitch in hertz; ``None`` without a voiced frame."""
    voiced = frames.pitch[frames.pitch > 0]
    return float(np.median(voiced)) if voiced.size else None


def pitch_spread(frames: Frames) -> float | None:
    """Return the semitones between low and high parts; ``None`` if the recording is too short to tell."""
    parts = _parts(frames)
    if len(parts) < 3:  # noqa: PLR2004 - two say nothing of a spread
        return None
    pitches = [12 * np.log2(np.median(frames.pitch[part])) for part in parts]
    return float(np.percentile(pitches, 90) - np.percentile(pitches, 10))


def timbre_spread(frames: Frames) -> float | None:
    """Rate from 0 to 1 how much better two timbres explain the recording than one; ``None`` if too short."""
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
    """Describe how the spectrum varies from the first speech on; similar for all codings of one take.

    There are at most :data:`MOST_STEPS` steps of 128 ms, each with :data:`takes.BANDS` numbers from -127 to
    127; compare them with :func:`services.samples.takes.likeness`. Empty without speech.
    """
    where = np.flatnonzero(frames.speech)
    if not where.size:
        return ()
    first, last = int(where[0]), int(where[-1]) + 1
    # Only the bands within a telephone's bandwidth.
    mel = frames.mel[first : min(last, first + (MOST_STEPS + 1) * _STEP), :_LOW].astype(np.float64)
    bands = mel.reshape(len(mel), takes.BANDS, -1).mean(2)
    # Noise and lossy coding change the quiet parts.
    bands = np.maximum(bands, np.percentile(bands, 95, axis=0) - _DEPTH)
    if len(bands) < 2 * _STEP:
        return ()
    # Windows are two steps wide, so that the position of a step matters little.
    wide = (
        np.lib.stride_tricks.sliding_window_view(bands, 2 * _STEP, 0)[::_STEP]
        @ np.bartlett(2 * _STEP + 1)[1:]
    )
    wide -= wide.mean(0)
    scaled = wide / max(float(np.sqrt((wide**2).mean())), 1e-9) * 32
    return tuple(int(value) for value in np.clip(np.rint(scaled), -127, 127).reshape(-1).tolist())


def _away(speech: Mask) -> Mask:
    """Select the frames that are far enough from speech."""
    spread = np.convolve(speech, np.ones(2 * _EDGE + 1), "same") if speech.size > 2 * _EDGE else speech
    return spread < 0.5  # noqa: PLR2004 - none there


def _parts(frames: Frames) -> list[npt.NDArray[np.intp]]:
    """Return the indices of the voiced frames in each 1.5 s of speech."""
    where = np.flatnonzero(frames.speech)
    parts = [where[start : start + _PART] for start in range(0, len(where) - _PART + 1, _PART)]
    voiced = [part[frames.pitch[part] > 0] for part in parts]
    return [part for part in voiced if part.size >= _VOICED]


def _cepstra(mel: Samples) -> Samples:
    """Compute the mel cepstra, without the first coefficient, which is the level."""
    angles = np.pi * np.outer(np.arange(BANDS) + 0.5, np.arange(1, _CEPSTRA + 1)) / BANDS
    return (mel @ np.cos(angles)).astype(np.float32)
