"""Kernels around the convolutions, compiled by numba, over rows of channels.

A row holds the channels of one time step. Instance normalisation needs the mean and variance of a whole
channel, so every convolution also gathers the sums of its output, tile by tile while it is in the cache. They
include each channel's minimum and maximum, which determine the range of the next activation in advance, since
all activations are monotone. So each convolution needs two passes over memory: one to normalise, activate and
quantise, and one to convolve and gather.
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
"""A float32; numba treats Python floats as float64, and promotes what is combined with them."""


def compiler(**options: object) -> Any:  # noqa: ANN401 - numba's decorators have no types
    """Return a decorator that compiles at the first call, and caches the code if a folder is writable."""
    compile_: Any = partial(numba.njit, nogil=True, error_model="numpy", **options)

    def compiled(function: Callable[..., object]) -> Any:  # noqa: ANN401
        try:
            return compile_(cache=True)(function)
        except RuntimeError:
            # Neither the code's folder nor the user's cache is writable.
            return compile_()(function)

    return compiled


_compile: Any = compiler(fastmath=True)
_compile_exactly: Any = compiler()
"""Compiles without fast math, for functions that depend on infinities or signs of zero."""
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
"""Number of rows that are added and gathered at once, while they are in the cache."""
_SAMPLE_RATE: Final = 24_000.0
_VOICED: Final = 10.0
"""Minimum pitch of voiced speech, in hertz."""
_LOUDNESS: Final = 0.1
"""Amplitude of each harmonic."""
_HOP: Final = 5


@_compile
def _ripple(angle: _Number) -> _Number:
    """Return ``1 − cos(angle)`` by a polynomial in the fraction of a turn, within 2e-3 near 2, 1e-6 at 0."""
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
        first: First row, inclusive.
        last: Last row, exclusive.
        sums: float32, ``(4, channels)``: sum, sum of squares, minimum and maximum of each channel.
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
    """Reset sums to those of no rows."""
    sums[:2] = _ZERO
    sums[2] = _INFINITY
    sums[3] = -_INFINITY


@_compile_exactly
def _normalisation(sums: Array, rows: int, style: Array, line: Array) -> None:
    """Combine instance normalisation and the style's scale and shift as ``line[0] · x + line[1]``."""
    for c in range(line.shape[1]):
        mean = sums[0, c] / rows
        variance = max(sums[1, c] / rows - mean * mean, _ZERO)
        scale = (_ONE + style[0, c]) / np.sqrt(np.float32(variance) + _EPSILON)
        line[0, c] = scale
        line[1, c] = style[1, c] - np.float32(mean) * scale


@_compile_exactly
def _range(sums: Array, line: Array, alpha: Array, slope: _Number) -> Any:  # noqa: ANN401 - numba has no types
    """Compute the minimum and maximum after the activation, including 0, the padding."""
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
def convolve(  # noqa: PLR0913, PLR0917 - arrays of one convolution; keyword arguments are slow in numba
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
        rows: Number of valid rows of ``x``; the result has ``rows + 2 · pad − reach``.
        sums: Sums of ``x``; see :func:`gather`.
        style: Scale and shift, ``(2, channels)``; empty for no normalisation.
        alpha: Parameter of the snake, ``(channels,)``; empty for a leaky ReLU.
        slope: Negative slope of the leaky ReLU; 1 for no activation.
        pad: Number of rows of zeros before and after ``x``.
        q: uint8, ``(≥ reach + whole tiles, ≥ channels)``: buffer for the convolution's input.
        handles: See :class:`engines.kokoro.onednn.Bound`.
        table: Scale of weights, sum of weights, and bias of each filter, ``(3, filters)``.
        scales: Scales of the convolution, written here.
        bias: Bias of the convolution, written here.
        tile: Number of rows per tile.
        reach: Number of rows of ``q`` that a tile needs in addition to its own.
        y: float32, ``(≥ whole tiles, filters)``; rows after the valid ones are undefined.
        out: Receives the sums of ``y``; empty to not gather them.
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
    zero = level + _HALF  # makes the later truncation round
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
        rows: Number of rows to change.
        y: float32, ``(≥ rows, channels)``.
        factor: float32.
        out: Receives the sums of the result; empty to not gather them.
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
    """Generate the excitation: the tanh of a weighted sum of sines at multiples of the pitch.

    Phases are interpolated linearly between the centres of the frames, as in the model's upsampling.
    Harmonics follow from the first by ``sin((n+1)a) = 2 cos(a) sin(na) − sin((n−1)a)``.

    Args:
        pitch: Pitch in hertz, one value per ``step`` samples.
        step: Number of samples per value.
        weights: Weights of the harmonics, from the first.
        bias: Constant added to their sum.
        wave: Receives the result, float32, ``(len(pitch) · step,)``.
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
    """Compute the short-time spectrum of a wave, with reflection at both ends: magnitudes, then angles.

    Args:
        wave: float32, ``(samples,)``.
        basis: Windowed cosines and negative sines, ``(2 · bins, size)``.
        out: Receives the result, float32, ``(samples / 5 + 1, 2 · bins)``.
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
    """Compute a wave by inverse transform and overlap-add.

    Args:
        post: Log magnitudes, then values whose sines are the angles; float32, ``(frames, 2 · bins)``.
        basis: Windowed basis, ``(2 · bins, size)``.
        gain: Correction for overlapping windows.
        wave: Receives the result, float32, ``(5 · (frames − 1),)``.
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
