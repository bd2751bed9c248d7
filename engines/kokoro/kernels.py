"""Passes between the convolutions, compiled by numba, each over rows of channels.

A row holds the channels of one moment. Instance normalisation needs the mean and variance of a whole channel,
so every convolution also gathers the sums of what it gives, tile by tile while it is in the cache. With a
channel's least and greatest value they also tell beforehand what range the next activation will have, as all
activations here are monotone. So memory is passed over twice for each convolution: once to normalise,
activate and quantise, and once to convolve and gather.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias

import numba  # pyright: ignore[reportMissingTypeStubs] - it ships none
import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
_Number: TypeAlias = Any
"""A float32; numba would make a Python number a float64, and what it touches too."""


def compiler(**options: object) -> Any:  # noqa: ANN401 - numba's decorators have no types
    """A decorator that compiles at the first call, and keeps the code where a folder can be written."""
    compile_: Any = partial(numba.njit, nogil=True, error_model="numpy", **options)

    def compiled(function: Callable[..., object]) -> Any:  # noqa: ANN401
        try:
            return compile_(cache=True)(function)
        except RuntimeError:
            # No folder that can be written, neither beside the code nor of the user.
            return compile_()(function)

    return compiled


_compile: Any = compiler(fastmath=True)
_compile_exactly: Any = compiler()
"""Infinities and signs of zero keep their meaning."""
_types: Any = numba.types

# Found by name when the code is linked, so that it can be cached: see decoder.load_symbols.
_execute: Any = _types.ExternalFunction(
    "dnnl_primitive_execute", _types.intc(_types.intp, _types.intp, _types.intc, _types.intp)
)
_point_to: Any = _types.ExternalFunction("dnnl_memory_set_data_handle", _types.intc(_types.intp, _types.intp))

_ZERO: Final = np.float32(0)
_HALF: Final = np.float32(0.5)
_ONE: Final = np.float32(1)
_TWO: Final = np.float32(2)
_TINY: Final = np.float32(1e-12)
_EPSILON: Final = np.float32(1e-5)
_LEVELS: Final = np.float32(255)
_TURN: Final = np.float32(1 / (2 * math.pi))
_INFINITY: Final = np.float32(math.inf)
_COSINE: Final = tuple(np.float32(c) for c in (-19.739209, 64.93939, -85.456817, 60.24464, -26.426256))
"""The Taylor series of ``cos(2πt)`` in ``t²``."""
_BLOCK: Final = 64
"""Rows that are added and gathered while they are in the cache."""
_SAMPLE_RATE: Final = 24_000.0
_VOICED: Final = 10.0
"""Hertz; a pitch below is none."""
_LOUDNESS: Final = 0.1
"""Of each harmonic."""
_HOP: Final = 5


@_compile
def _ripple(angle: _Number) -> _Number:
    """``1 − cos(angle)`` by a polynomial of the fraction of a turn, within 2e-3 near 2, 1e-6 near 0."""
    turns = angle * _TURN
    turns -= np.floor(turns + _HALF)
    z = turns * turns
    series = _COSINE[3] + z * _COSINE[4]
    return -z * (_COSINE[0] + z * (_COSINE[1] + z * (_COSINE[2] + z * series)))


@_compile
def gather(y: Array, first: int, last: int, sums: Array) -> None:
    """Add rows to sums.

    Args:
        y: float32, ``(≥ last, channels)``.
        first: The first row.
        last: The row after the last.
        sums: float32, ``(4, channels)``: sum, sum of squares, least and greatest value of each channel.
    """
    channels = y.shape[1]
    part = np.zeros((2, channels), np.float32)
    total, squares = part[0], part[1]
    least, greatest = sums[2], sums[3]
    for row in range(first, last):
        line = y[row]
        for c in range(channels):
            value = line[c]
            total[c] += value
            squares[c] += value * value
            least[c] = min(least[c], value)
            greatest[c] = max(greatest[c], value)
    for c in range(channels):
        sums[0, c] += total[c]
        sums[1, c] += squares[c]


@_compile_exactly
def clear(sums: Array) -> None:
    """Make sums those of nothing."""
    sums[:2] = _ZERO
    sums[2] = _INFINITY
    sums[3] = -_INFINITY


@_compile_exactly
def _normalisation(sums: Array, rows: int, style: Array, line: Array) -> None:
    """Instance normalisation, and the style's scale and shift, as ``line[0] · x + line[1]``."""
    for c in range(line.shape[1]):
        mean = sums[0, c] / rows
        variance = max(sums[1, c] / rows - mean * mean, _ZERO)
        scale = (_ONE + style[0, c]) / np.sqrt(np.float32(variance) + _EPSILON)
        line[0, c] = scale
        line[1, c] = style[1, c] - np.float32(mean) * scale


@_compile_exactly
def _range(sums: Array, line: Array, alpha: Array, slope: _Number) -> Any:  # noqa: ANN401 - numba has no types
    """Least and greatest value after the activation; 0, which pads, is always among them."""
    low, high = _ZERO, _ZERO
    for c in range(line.shape[1]):
        for extreme in (sums[2, c], sums[3, c]):
            value = line[0, c] * extreme + line[1, c]
            if alpha.size:
                double = _TWO * alpha[c]
                value += _ripple(double * value) / double
            low = min(low, value)
            high = max(high, value)
    return (low if alpha.size else low * slope), high


@_compile
def _snake(x: Array, q: Array, line: Array, alpha: Array, step: _Number, zero: _Number) -> None:
    """Normalise, add ``sin²(αx)/α`` and quantise: ``q = step · snake(x) + zero``."""
    double = _TWO * alpha
    inverse = _ONE / double
    for row in range(x.shape[0]):
        given, made = x[row], q[row]
        for c in range(x.shape[1]):
            value = line[0, c] * given[c] + line[1, c]
            value += inverse[c] * _ripple(double[c] * value)
            made[c] = np.uint8(min(max(value * step + zero, _ZERO), _LEVELS))


@_compile
def _leaky(x: Array, q: Array, line: Array, slope: _Number, step: _Number, zero: _Number) -> None:
    """Normalise, multiply by ``slope`` where negative, and quantise."""
    for row in range(x.shape[0]):
        given, made = x[row], q[row]
        for c in range(x.shape[1]):
            value = line[0, c] * given[c] + line[1, c]
            value = max(value, _ZERO) + slope * min(value, _ZERO)
            made[c] = np.uint8(min(max(value * step + zero, _ZERO), _LEVELS))


@_compile_exactly
def convolve(  # noqa: PLR0913, PLR0917 - arrays of one convolution; numba takes no keywords cheaply
    x: Array,
    rows: int,
    sums: Array,
    style: Array,
    alpha: Array,
    slope: _Number,
    pad: int,
    q: Array,
    handles: Array,
    table: Array,
    scales: Array,
    bias: Array,
    tile: int,
    reach: int,
    y: Array,
    out: Array,
) -> None:
    """Normalise, activate, quantise and convolve in tiles: ``y = conv(act(norm(x)))``, or added to ``y``.

    Args:
        x: float32, ``(≥ rows, channels)``.
        rows: How many of them count; the convolution gives ``rows + 2 · pad − reach``.
        sums: Of ``x``, see :func:`gather`.
        style: Scale and shift, ``(2, channels)``; without rows ``x`` is not normalised.
        alpha: Of the snake, for each channel; empty for the leaky rectifier.
        slope: Of the rectifier where its argument is negative; 1 leaves all as it is.
        pad: Rows of zeros before and after ``x``.
        q: uint8, ``(≥ reach + whole tiles, ≥ channels)``: what the convolution reads.
        handles: See :class:`engines.kokoro.onednn.Bound`.
        table: For each filter the scale of its weights, their sum, and its bias, ``(3, filters)``.
        scales: Of the convolution, written here.
        bias: Likewise.
        tile: Rows of a tile.
        reach: Rows of ``q`` beside those of a tile.
        y: float32, ``(≥ whole tiles, filters)``; rows after those that count hold nothing of use.
        out: Sums of ``y``; without rows they are not gathered.
    """
    channels = x.shape[1]
    line = np.empty((2, channels), np.float32)
    if style.shape[0]:
        _normalisation(sums, rows, style, line)
    else:
        line[0] = _ONE
        line[1] = _ZERO
    low, high = _range(sums, line, alpha, slope)
    size = max(np.float32(high - low) / _LEVELS, _TINY)
    step = _ONE / size
    level = np.float32(math.floor(-low * step + _HALF))
    for f in range(scales.size):
        scales[f] = size * table[0, f]
        bias[f] = table[2, f] - scales[f] * level * table[1, f]
    zero = level + _HALF  # what is cut off after it rounds
    count = rows + 2 * pad - reach
    q[:pad] = np.uint8(level)
    if out.shape[0]:
        clear(out)
    ready = 0
    for index in range((count + tile - 1) // tile):
        first = index * tile
        last = min(first + tile, count)
        wanted = min(last + reach - pad, rows)
        if wanted > ready:
            given = x[ready:wanted]
            made = q[pad + ready : pad + wanted, :channels]
            if alpha.size:
                _snake(given, made, line, alpha, step, zero)
            else:
                _leaky(given, made, line, slope, step, zero)
            ready = wanted
            if ready == rows:
                q[pad + rows : pad + rows + pad] = np.uint8(level)
        _point_to(handles[4], q.ctypes.data + first * q.shape[1])
        _point_to(handles[5], y.ctypes.data + first * y.shape[1] * 4)
        _execute(handles[0], handles[1], handles[3], handles[2])
        if out.shape[0]:
            gather(y, first, last, out)


@_compile_exactly
def add(x: Array, rows: int, y: Array, factor: _Number, out: Array) -> None:
    """``x = (x + y) · factor``.

    Args:
        x: float32, ``(≥ rows, channels)``, changed in place.
        rows: How many of them count.
        y: As many of them.
        factor: float32.
        out: Sums of what ``x`` then holds; without rows they are not gathered.
    """
    if out.shape[0]:
        clear(out)
    for first in range(0, rows, _BLOCK):
        last = min(first + _BLOCK, rows)
        x[first:last] = (x[first:last] + y[first:last]) * factor
        if out.shape[0]:
            gather(x, first, last, out)


@_compile_exactly
def harmonics(pitch: Array, step: int, weights: Array, bias: float, wave: Array) -> None:
    """The excitation: sines of the pitch and its multiples, weighed, added and squashed.

    Phases grow linearly between the middles of the frames, as the model's upsampling has them. Multiples of
    the pitch come from the first by ``sin((n+1)a) = 2 cos(a) sin(na) − sin((n−1)a)``.

    Args:
        pitch: Hertz, one for each ``step`` samples.
        step: Samples.
        weights: Of the harmonics, from the first.
        bias: Added to their sum.
        wave: float32, ``(len(pitch) · step,)``, written.
    """
    frames = pitch.size
    ends = np.empty(frames, np.float64)
    turns = 0.0
    for frame in range(frames):
        turns += pitch[frame] / _SAMPLE_RATE * step
        ends[frame] = turns
    for frame in range(frames):
        loud = _LOUDNESS if pitch[frame] > _VOICED else 0.0
        for i in range(step):
            total = bias
            if loud > 0:
                place = frame + (i + 0.5) / step - 0.5
                low = math.floor(place)
                part = place - low
                turns = ends[max(low, 0)] * (1 - part) + ends[min(low + 1, frames - 1)] * part
                angle = (turns - math.floor(turns)) * 2 * math.pi
                before, now, twice = 0.0, math.sin(angle), 2 * math.cos(angle)
                for weight in weights:
                    total += weight * loud * now
                    before, now = now, twice * now - before
            wave[frame * step + i] = math.tanh(total)


@_compile_exactly
def spectrum(wave: Array, basis: Array, out: Array) -> None:
    """Short-time spectrum of a wave that is reflected at both ends: magnitudes, then angles.

    Args:
        wave: float32, ``(samples,)``.
        basis: Windowed cosines and negative sines, ``(2 · bins, size)``.
        out: float32, ``(samples / 5 + 1, 2 · bins)``, written.
    """
    bins, size = basis.shape[0] // 2, basis.shape[1]
    piece = np.empty(size, np.float32)
    for frame in range(out.shape[0]):
        for i in range(size):
            at = abs(frame * _HOP + i - size // 2)
            piece[i] = wave[at if at < wave.size else 2 * (wave.size - 1) - at]
        for k in range(bins):
            real, imaginary = _ZERO, _ZERO
            for i in range(size):
                real += piece[i] * basis[k, i]
                imaginary += piece[i] * basis[bins + k, i]
            out[frame, k] = np.sqrt(real * real + imaginary * imaginary)
            out[frame, bins + k] = math.atan2(imaginary, real)


@_compile
def resynthesise(post: Array, basis: Array, gain: _Number, wave: Array) -> None:
    """A wave from log magnitudes and from what the angles are sines of: inverse transform, overlap and add.

    Args:
        post: float32, ``(frames, 2 · bins)``.
        basis: Windowed, ``(2 · bins, size)``.
        gain: Makes up for windows that overlap.
        wave: float32, ``(5 · (frames − 1),)``, written.
    """
    bins, size = basis.shape[0] // 2, basis.shape[1]
    wave[:] = _ZERO
    piece = np.empty(size, np.float32)
    for frame in range(post.shape[0]):
        piece[:] = _ZERO
        for k in range(bins):
            loud = gain * np.exp(post[frame, k])
            angle = np.sin(post[frame, bins + k])
            real, imaginary = loud * np.cos(angle), loud * np.sin(angle)
            for i in range(size):
                piece[i] += real * basis[k, i] + imaginary * basis[bins + k, i]
        start = frame * _HOP - size // 2
        for i in range(max(0, -start), min(size, wave.size - start)):
            wave[start + i] += piece[i]
