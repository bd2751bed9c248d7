"""Short-time spectra of speech, and their spectral envelopes as cepstra.

Signals are float32, mono, at :data:`RATE`, full scale 1. Frames are :data:`HOP` apart.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from engines.recordings.pitch import AROUND, track

Floats: TypeAlias = npt.NDArray[np.float32]
Spectra: TypeAlias = npt.NDArray[np.complex64]

RATE: Final = 22_050
"""Sample rate in hertz at which recordings are analysed; that of eSpeak NG and OpenVoice."""
SIZE: Final = 1_024
"""Number of samples of a frame."""
HOP: Final = 128
"""Number of samples between the starts of frames; 5.8 ms."""
BANDS: Final = 60
CEPSTRA: Final = 24
AUDIBLE: Final = 6.0
"""Range of speech below the loudest frames in nepers of power (26 dB), as the mean over all bands."""
_WINDOW: Final = 660
"""Length of the analysis window in samples: 30 ms, two periods of a low voice."""
_UNVOICED_WIDTH: Final = 200.0
"""Bandwidth in hertz over which unvoiced frames are smoothed; voiced ones are smoothed over their pitch."""
_FLOOR: Final = 1e-12
_BLOCK: Final = 1_024
"""Maximum number of frames analysed at once, to limit memory."""
_BINS: Final = SIZE // 2 + 1
_BIN_HZ: Final = RATE / SIZE


def _mel(hertz: float) -> float:
    return 2595 * float(np.log10(1 + hertz / 700))


def _centres() -> npt.NDArray[np.float64]:
    mels = np.linspace(_mel(40), _mel(RATE / 2 - 1), BANDS + 2)
    return 700 * (10 ** (mels / 2595) - 1)


def _cosines() -> Floats:
    """Return the matrix of the orthonormal DCT-II, shape ``(CEPSTRA, BANDS)``."""
    order, band = np.arange(CEPSTRA)[:, None], np.arange(BANDS)[None]
    table = np.cos(np.pi * order * (band + 0.5) / BANDS) * np.sqrt(2 / BANDS)
    table[0] /= np.sqrt(2)
    return table.astype(np.float32)


def _window() -> Floats:
    padding = (SIZE - _WINDOW) // 2
    return np.pad(np.hanning(_WINDOW + 1)[:-1], padding).astype(np.float32)


_EDGES: Final = _centres()
CENTRES: Final = _EDGES[1:-1]
"""Centre frequencies of the bands in hertz."""
_WIDTHS: Final = (_EDGES[2:] - _EDGES[:-2]) / 2
_COSINES: Final = _cosines()
_SPREAD: Final = np.stack(
    [np.interp(np.arange(_BINS) * _BIN_HZ, CENTRES, row) for row in np.eye(BANDS)]
).astype(np.float32)
ANALYSIS_WINDOW: Final = _window()
SYNTHESIS_WINDOW: Final = np.hanning(SIZE + 1)[:-1].astype(np.float32)


@dataclass(frozen=True, eq=False)
class Analysis:
    """The analysed frames of a signal.

    Attributes:
        pitch: Pitch in hertz, 0 for unvoiced frames; shape ``(frames,)``.
        bands: Log power of the spectral envelope in mel bands, without harmonics; shape ``(frames, BANDS)``.
    """

    pitch: Floats
    bands: Floats

    @cached_property
    def cepstra(self) -> Floats:
        """Cepstra of the envelope, shape ``(frames, CEPSTRA)``; the first one represents the level."""
        return self.bands @ _COSINES.T

    @cached_property
    def level(self) -> Floats:
        """Mean log power over the bands, shape ``(frames,)``."""
        return self.bands.mean(axis=1)

    @property
    def voiced(self) -> npt.NDArray[np.bool_]:
        """Mask of frames with a pitch, shape ``(frames,)``."""
        return self.pitch > 0

    @cached_property
    def loud(self) -> float:
        """95th percentile of the level."""
        return float(np.percentile(self.level, 95))

    @cached_property
    def active(self) -> npt.NDArray[np.bool_]:
        """Mask of frames of speech rather than pauses, shape ``(frames,)``."""
        return self.level > self.loud - AUDIBLE


def analyse(signal: Floats) -> Analysis:
    """Analyse a complete signal; frame ``i`` is centred at sample ``i * HOP``."""
    frames = frames_of(np.pad(signal, SIZE // 2))
    parts = [_part(frames, start) for start in range(0, len(frames), _BLOCK)]
    return Analysis(np.concatenate([p.pitch for p in parts]), np.concatenate([p.bands for p in parts]))


def _part(frames: Floats, start: int) -> Analysis:
    """Analyse a block of frames, with the surrounding frames that its pitch depends on."""
    before = min(start, AROUND)
    block = frames[start - before : start + _BLOCK + AROUND]
    part = describe(block, spectra_of(block))
    inner = slice(before, before + _BLOCK)
    return Analysis(part.pitch[inner], part.bands[inner])


def frames_of(signal: Floats) -> Floats:
    """Return a view of all complete frames of ``signal``, shape ``(frames, SIZE)``."""
    return np.lib.stride_tricks.sliding_window_view(signal, SIZE)[::HOP]


def spectra_of(frames: Floats) -> Spectra:
    """Return the spectra of frames, shape ``(frames, SIZE // 2 + 1)``."""
    return np.fft.rfft(frames * ANALYSIS_WINDOW, axis=1).astype(np.complex64, copy=False)


def signals_of(spectra: Spectra) -> Floats:
    """Return the frames of spectra, shape ``(frames, SIZE)``."""
    return np.fft.irfft(spectra, axis=1).astype(np.float32, copy=False)


def describe(frames: Floats, spectra: Spectra) -> Analysis:
    """Analyse frames whose spectra are given."""
    pitch = track(frames, RATE)
    return Analysis(pitch, _envelope(spectra, pitch))


def _envelope(spectra: Spectra, pitch: Floats) -> Floats:
    """Return the log of the mean power around each band's centre, over the wider of band width and pitch."""
    power = np.square(spectra.real) + np.square(spectra.imag)
    total = np.cumsum(power, axis=1, dtype=np.float64)  # float32 would lose the high bands
    total = np.pad(total, ((0, 0), (1, 0)))
    width = np.maximum(_WIDTHS[None], np.where(pitch > 0, pitch, _UNVOICED_WIDTH)[:, None]) / _BIN_HZ
    middle = CENTRES[None] / _BIN_HZ + 0.5
    low, high = np.clip(middle - width / 2, 0, _BINS), np.clip(middle + width / 2, 0, _BINS)
    mean = (_at(total, high) - _at(total, low)) / (high - low)
    return np.log(mean + _FLOOR).astype(np.float32)


def _at(rows: npt.NDArray[np.float64], places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the values of each row at fractional positions, by linear interpolation."""
    left = np.minimum(places.astype(np.intp), rows.shape[1] - 2)
    share = places - left
    return np.take_along_axis(rows, left, 1) * (1 - share) + np.take_along_axis(rows, left + 1, 1) * share


def to_gains(cepstra: Floats, limit: float) -> Floats:
    """Convert differences of cepstra to gains of spectra, clipped to ``limit`` nepers of power per band."""
    bands = np.clip(cepstra @ _COSINES, -limit, limit)
    return np.exp(0.5 * (bands @ _SPREAD))


def smoothed(rows: Floats, reach: int) -> Floats:
    """Return the moving average of rows, over ``reach`` rows on either side; the ends are repeated."""
    padded = np.pad(rows, ((reach, reach), (0, 0)), mode="edge")
    width = 2 * reach + 1
    return sum((padded[i : i + len(rows)] for i in range(width)), np.zeros_like(rows)) / np.float32(width)
