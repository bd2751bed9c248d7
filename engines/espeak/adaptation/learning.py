"""Learning the difference between a speaker and eSpeak NG from recordings of both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from engines.espeak.adaptation.alignment import align
from engines.espeak.adaptation.neighbours import Neighbours
from engines.espeak.adaptation.voice import MOST_FRAMES, Manner, with_slopes
from engines.recordings.spectra import BANDS, CEPSTRA, Analysis, Floats

_USUAL_SPREAD: Final = 200.0
"""Weight in frames of the prior that a speaker's cepstra have the variance of eSpeak NG's."""
_USUAL_OFFSET: Final = 100.0
"""Weight in frames of the prior that unvoiced speech differs as voiced speech does."""
_SCALES: Final = (0.6, 1.6)
_DEAF: Final = 12.6
"""Distance from a recording's strongest band in nepers of power (55 dB) at which bands are ignored."""
_LEVEL_WEIGHT: Final = 0.3
_SLOPE_WEIGHT: Final = 0.5
"""Weights of loudness and of slopes in distances, relative to the spectrum's shape."""

_EVEN: Final = 1e-3
"""Added to standard deviations to avoid zeros."""
_ENOUGH: Final = 1_000
"""Number of frames of parallel speech (6 s) from which other speech does not improve the result."""
_SAME: Final = 0.5
"""Minimum score of two recordings with the same words.

The score is the agreement of voicing, plus :data:`_GAIN_WEIGHT` times the relative decrease of the distance
of aligned frames, compared with the reversed recording. With seven speakers, recordings of the same words
scored at least 0.54, others at most 0.50, and mostly 0.1 to 0.3.
"""
_GAIN_WEIGHT: Final = 4.0
_APART: Final = 10
"""Distance of the context frames before and after a frame, in frames."""
_CONTEXT_WEIGHT: Final = 0.6
_CERTAINTY: Final = 0.7


@dataclass(frozen=True, eq=False)
class Material:
    """The recordings to learn from.

    Attributes:
        own: Analysed recordings of the speaker.
        base: Analysed speech of eSpeak NG.
        pairs: Pairs of indices in ``own`` and ``base`` of recordings with the same words.
    """

    own: Sequence[Analysis]
    base: Sequence[Analysis]
    pairs: Sequence[tuple[int, int]]


def learn(material: Material) -> Manner:
    """Learn the change of cepstra: means and variances first, then the residuals of single frames."""
    base = material.base
    own = [_comparable(speech, base) for speech in material.own]
    unvoiced, voiced = _moments(base, own)
    manner = Manner(
        scale=np.stack([unvoiced[0], voiced[0]]),
        offset=np.stack([unvoiced[1], voiced[1]]),
        weights=np.ones(2 * CEPSTRA, np.float32),
        places=np.zeros((0, 2 * CEPSTRA), np.float32),
        values=np.zeros((0, CEPSTRA), np.float32),
        loud=max(speech.loud for speech in base),
    )
    frames: list[tuple[Floats, Floats]] = []
    sure: list[tuple[int, int]] = []
    for mine, its in material.pairs:
        parallel = _parallel(manner, base[its], own[mine])
        if parallel is not None:
            frames.append(parallel)
            sure.append((mine, its))
    others = [speech for index, speech in enumerate(own) if index not in {mine for mine, _ in sure}]
    scripts = [speech for index, speech in enumerate(base) if index not in {its for _, its in sure}]
    if others and scripts and sum(len(lacking) for _, lacking in frames) < _ENOUGH:
        frames.append(_alike(manner, scripts, others))
    return _with_frames(manner, frames) if frames else manner


def _comparable(own: Analysis, base: Sequence[Analysis]) -> Analysis:
    """Return a recording at eSpeak NG's level, with eSpeak NG's spectrum above its own bandwidth."""
    usual = np.concatenate([speech.bands[speech.active] for speech in base])
    heard = np.percentile(own.bands[own.active], 95, axis=0)
    top = int(np.flatnonzero(heard > heard.max() - _DEAF)[-1])
    bands = own.bands.copy()
    if top + 1 < BANDS:
        mean = usual.mean(axis=0)
        bands[:, top + 1 :] = bands[:, top : top + 1] + (mean[top + 1 :] - mean[top])
    bands += usual.mean() - bands[own.active].mean()
    return replace(own, bands=bands)


def _moments(
    base: Sequence[Analysis], own: Sequence[Analysis]
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Return the scale and offset of unvoiced and of voiced frames."""
    voiced = _affine(_pooled(base, voiced=True), _pooled(own, voiced=True))
    shift = _pooled(own, voiced=True).mean(axis=0) - _pooled(base, voiced=True).mean(axis=0)
    quiet_base, quiet_own = _pooled(base, voiced=False), _pooled(own, voiced=False)
    if not len(quiet_base) or not len(quiet_own):
        return (np.ones(CEPSTRA, np.float32), shift), voiced
    scale, offset = _affine(quiet_base, quiet_own)
    belief = len(quiet_own) / (len(quiet_own) + _USUAL_OFFSET)
    usual = shift + quiet_base.mean(axis=0) * (1 - scale)
    return (scale, (belief * offset + (1 - belief) * usual).astype(np.float32)), voiced


def _pooled(speech: Sequence[Analysis], *, voiced: bool) -> Floats:
    return np.concatenate([part.cepstra[(part.voiced == voiced) & part.active] for part in speech])


def _affine(base: Floats, own: Floats) -> tuple[Floats, Floats]:
    """Return the scale and offset that give ``base`` the mean and, if certain, the spread of ``own``."""
    belief = len(own) / (len(own) + _USUAL_SPREAD)
    ratio = (own.std(axis=0) + _EVEN) / (base.std(axis=0) + _EVEN)
    scale = np.clip(ratio**belief, *_SCALES).astype(np.float32)
    return scale, own.mean(axis=0) - base.mean(axis=0) * scale


def _parallel(manner: Manner, base: Analysis, own: Analysis) -> tuple[Floats, Floats] | None:
    """Return features of frames, and their residuals to a recording of the same words.

    ``None`` if the words differ: wrong pairs would make the speech unintelligible.
    """
    moved = manner.moved(base)
    spoken, given = np.flatnonzero(base.active), np.flatnonzero(own.active)
    weight = 1 / (own.cepstra[given].std(axis=0) + _EVEN)
    weight[0] *= _LEVEL_WEIGHT
    its, mine = moved[spoken] * weight, own.cepstra[given] * weight
    path = align(its, mine)
    gain = 1 - _cost(its, mine, path) / _cost(its, mine[::-1], align(its, mine[::-1]))
    spoken, given = spoken[path[:, 0]], given[path[:, 1]]
    if _agreement(base.voiced[spoken], own.voiced[given]) + _GAIN_WEIGHT * gain < _SAME:
        return None
    return with_slopes(moved)[spoken], own.cepstra[given] - moved[spoken]


def _cost(one: Floats, other: Floats, path: npt.NDArray[np.intp]) -> float:
    """Return the mean distance of aligned frames."""
    return float(np.linalg.norm(one[path[:, 0]] - other[path[:, 1]], axis=1).mean()) + _EVEN


def _agreement(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    """Return Cohen's kappa of the voicing of frames: 1 for perfect agreement, 0 for chance."""
    chance = one.mean() * other.mean() + (1 - one.mean()) * (1 - other.mean())
    return float(((one == other).mean() - chance) / max(1 - chance, _EVEN))


def _alike(manner: Manner, base: Sequence[Analysis], own: Sequence[Analysis]) -> tuple[Floats, Floats]:
    """Like :func:`_parallel`, for recordings of different words: match frames that are similar in context.

    Frames of each side are matched with the nearest of the other, so that all of the speaker's frames are
    used. This is less certain than a transcript, so the residuals are reduced.
    """
    moved = [manner.moved(speech) for speech in base]
    features = np.concatenate([with_slopes(m)[s.active] for m, s in zip(moved, base, strict=True)])
    mine = np.concatenate([_in_context(m)[s.active] for m, s in zip(moved, base, strict=True)])
    theirs = np.concatenate([_in_context(speech.cepstra)[speech.active] for speech in own])
    weight = 1 / (mine.std(axis=0) + _EVEN)
    weight[0] *= _LEVEL_WEIGHT
    weight[CEPSTRA:] *= _CONTEXT_WEIGHT
    mine, theirs, given = mine * weight, theirs * weight, theirs[:, :CEPSTRA]
    wanted = Neighbours(theirs, given).mean(mine)
    missed = Neighbours(mine, features).mean(theirs)
    places = np.concatenate([features, missed])
    values = np.concatenate([wanted, given]) - places[:, :CEPSTRA]
    return places, values * np.float32(_CERTAINTY)


def _in_context(cepstra: Floats) -> Floats:
    """Return cepstra joined with those :data:`_APART` frames before and after."""
    padded = np.pad(cepstra, ((_APART, _APART), (0, 0)), mode="edge")
    return np.concatenate([cepstra, padded[: -2 * _APART], padded[2 * _APART :]], axis=1)


def _with_frames(manner: Manner, parallel: Sequence[tuple[Floats, Floats]]) -> Manner:
    places = np.concatenate([features for features, _ in parallel])
    values = np.concatenate([lacking for _, lacking in parallel])
    weights = 1 / (places.std(axis=0) + _EVEN)
    weights[0] *= _LEVEL_WEIGHT
    weights[CEPSTRA:] *= _SLOPE_WEIGHT
    kept = np.linspace(0, len(places) - 1, min(MOST_FRAMES, len(places))).astype(np.intp)
    return replace(manner, weights=weights, places=places[kept] * weights, values=values[kept])
