"""Fused kernels between the matrix products of a decoder's step on the CPU, compiled by numba.

With few rows, torch's small operations around the products (norms, scales, sums, the attention of one token)
take as long as the products. Here each is one pass over a row, which ends in the next product's input format:
float32, bfloat16, or bytes and their scale. numba is installed with coqui-tts.

Attention is bound by reading the keys and values that each row's slot holds, once for each token; bfloat16
halves that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numba  # pyright: ignore[reportMissingTypeStubs] - it ships none
import numpy as np
import numpy.typing as npt
import torch
from llvmlite import ir  # pyright: ignore[reportMissingTypeStubs] - as above
from numba.extending import intrinsic  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]
from torch import Tensor

Array: TypeAlias = npt.NDArray[Any]
Norm: TypeAlias = tuple[Array, Array, np.float32]
"""Weight and bias ``(width,)``, and the constant added to the variance."""

_Number: TypeAlias = Callable[[Any], Any]
_Store: TypeAlias = Callable[[Array, Array], Any]

ZERO_POINT: Final = 128
"""Zero point of bytes: VNNI multiplies unsigned by signed bytes; there is no fast kernel for signed ones."""

LEVELS: Final = 127.0
"""Number of steps on either side of zero."""

_compile: Any = numba.njit(nogil=True, fastmath=True, error_model="numpy")
_types: Any = numba.types
_ir: Any = ir
_intrinsic: Any = intrinsic


@_intrinsic
def _as_float(_context: Any, bits: Any) -> Any:  # noqa: ANN401 - numba has no types
    """Reinterpret bits as a float32."""
    del bits

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - as above
        return builder.bitcast(arguments[0], _ir.FloatType())

    return _types.float32(_types.uint32), generate


@_intrinsic
def _as_bits(_context: Any, number: Any) -> Any:  # noqa: ANN401 - as above
    """Reinterpret a float32 as bits."""
    del number

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - as above
        return builder.bitcast(arguments[0], _ir.IntType(32))

    return _types.uint32(_types.float32), generate


# numba treats Python floats as float64, and promotes what is combined with them.
_ZERO: Final = np.float32(0.0)
_HALF: Final = np.float32(0.5)
_ONE: Final = np.float32(1.0)
_TINY: Final = np.float32(1e-12)
_LEVELS: Final = np.float32(LEVELS)
_MIDDLE: Final = np.float32(ZERO_POINT + 0.5)
_BITS: Final = np.uint32(16)
"""Number of low bits of a float32 that a bfloat16 lacks."""

_LOWEST: Final = np.float32(-87.0)
"""Lowest integer exponent whose power of e is a normal float32."""

_LOG2E: Final = np.float32(1.4426950408889634)
_LN2: Final = np.float32(0.6931471805599453)
_EXPONENT: Final = np.int32(127)
_MANTISSA: Final = np.uint32(23)
# exp(r) for |r| ≤ ln 2 / 2, the polynomial of Cephes' expf (Moshier, 1992).
_P0, _P1, _P2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
_P3, _P4, _P5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
_GELU: Final = np.float32(-1.5957691216057308)
_CUBIC: Final = np.float32(0.044715)


@_compile
def _exp(number: Any) -> Any:  # noqa: ANN401 - as above
    """Compute the exponential of a number ≤ 0; unlike the C library's function, it can be vectorised."""
    number = max(number, _LOWEST)
    whole = np.int32(number * _LOG2E - _HALF)
    rest = number - np.float32(whole) * _LN2
    series = _P0
    series = series * rest + _P1
    series = series * rest + _P2
    series = series * rest + _P3
    series = series * rest + _P4
    series = series * rest + _P5
    power = series * rest * rest + rest + _ONE
    return power * _as_float(np.uint32(whole + _EXPONENT) << _MANTISSA)


@_compile
def _gelu(number: Any) -> Any:  # noqa: ANN401 - as above
    """Compute GPT-2's GELU, ``x / (1 + exp(-2 √(2/π) (x + 0.044715 x³)))``, without overflow for any sign."""
    power = _GELU * (number + _CUBIC * number * number * number)
    small = _exp(-abs(power))
    share = _ONE / (_ONE + small)
    return number * (share if power <= _ZERO else small * share)


@_compile
def _same(number: Any) -> Any:  # noqa: ANN401 - as above
    return number


@_compile
def _widened(number: Any) -> Any:  # noqa: ANN401 - as above
    """Convert a bfloat16's bits to float32."""
    return _as_float(np.uint32(number) << _BITS)


@_compile
def _narrowed(number: Any) -> Any:  # noqa: ANN401 - as above
    """Convert a float32 to the bits of the nearest bfloat16."""
    bits = _as_bits(number)
    return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> _BITS) & np.uint32(1))) >> _BITS)


@_compile
def _keep(values: Array, out: Array) -> np.float32:
    for index in range(values.shape[0]):
        out[index] = values[index]
    return _ONE


@_compile
def _narrow(values: Array, out: Array) -> np.float32:
    for index in range(values.shape[0]):
        out[index] = _narrowed(values[index])
    return _ONE


@_compile
def _to_bytes(values: Array, out: Array) -> np.float32:
    largest = _ZERO
    for index in range(values.shape[0]):
        largest = max(largest, abs(values[index]))
    scale = max(largest, _TINY) / _LEVELS
    inverse = _ONE / scale
    for index in range(values.shape[0]):
        # The conversion truncates, and all values are positive: adding half a step rounds.
        out[index] = np.uint8(np.int32(values[index] * inverse + _MIDDLE))
    return scale


@_compile
def _normed(row: Array, norm: Norm, out: Array) -> None:
    weight, bias, eps = norm
    count = np.float32(row.shape[0])
    mean = _ZERO
    for index in range(row.shape[0]):
        mean += row[index]
    mean /= count
    variance = _ZERO
    for index in range(row.shape[0]):
        away = row[index] - mean
        variance += away * away
    factor = _ONE / np.sqrt(variance / count + eps)
    for index in range(row.shape[0]):
        out[index] = (row[index] - mean) * factor * weight[index] + bias[index]


@_compile
def _softmax(scores: Array) -> None:
    largest = np.float32(-np.inf)
    for place in range(scores.shape[0]):
        largest = max(largest, scores[place])
    total = _ZERO
    for place in range(scores.shape[0]):
        scores[place] = _exp(scores[place] - largest)
        total += scores[place]
    share = _ONE / total
    for place in range(scores.shape[0]):
        scores[place] *= share


@dataclass(frozen=True, slots=True)
class Kernels:
    """The kernels for one precision.

    In all of them, ``rows`` is the residual stream, ``(rows, width)``, float32. A ``product`` is a linear
    layer's output before its bias ``offset`` is added and its rows are multiplied by their ``scales``. The
    next linear layer's input is written to ``out`` and ``scales``.

    Attributes:
        norm: ``(rows, norm, out, scales)``: computes the first norm.
        add_norm: ``(rows, product, offset, norm, out, scales)``: adds the product to the rows and normalises.
        add_last: Like ``add_norm``, but ``out`` is float32.
        gelu: ``(product, offset, out, scales)``: computes the GELU.
        attend: ``(product, offset, keys, values, ends, out, scales)``: takes a layer's queries, keys and
            values, ``(rows, 3 × width)``, writes position ``ends[row]`` of
            ``(slots, positions, heads, size)``, and attends to it and all before it.
        encoded: Dtype of ``out``.
        cached: Dtype of keys and values.
    """

    norm: Callable[..., None]
    add_norm: Callable[..., None]
    add_last: Callable[..., None]
    gelu: Callable[..., None]
    attend: Callable[..., None]
    encoded: torch.dtype
    cached: torch.dtype


def array(tensor: Tensor) -> Array:
    """View a tensor as an array, without a copy; bfloat16 as uint16."""
    plain = tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor
    return plain.numpy()


def _norm(store: _Store) -> Callable[..., None]:
    @_compile
    def norm(rows: Array, norm: Norm, out: Array, scales: Array) -> None:
        values = np.empty(rows.shape[1], np.float32)
        for row in range(rows.shape[0]):
            _normed(rows[row], norm, values)
            scales[row] = store(values, out[row])

    return norm


def _add_norm(read: _Number, store: _Store) -> Callable[..., None]:
    @_compile
    def add_norm(rows: Array, product: Array, offset: Array, norm: Norm, out: Array, scales: Array) -> None:
        values = np.empty(rows.shape[1], np.float32)
        for row in range(rows.shape[0]):
            sums, added, scale = rows[row], product[row], scales[row]
            for index in range(sums.shape[0]):
                sums[index] += read(added[index]) * scale + offset[index]
            _normed(sums, norm, values)
            scales[row] = store(values, out[row])

    return add_norm


def _activate(read: _Number, store: _Store) -> Callable[..., None]:
    @_compile
    def gelu(product: Array, offset: Array, out: Array, scales: Array) -> None:
        values = np.empty(offset.shape[0], np.float32)
        for row in range(scales.shape[0]):
            numbers, scale = product[row], scales[row]
            for index in range(values.shape[0]):
                values[index] = _gelu(read(numbers[index]) * scale + offset[index])
            scales[row] = store(values, out[row])

    return gelu


def _scores(wide: _Number) -> Callable[..., None]:
    # All heads of a position before the next one, so that memory is read sequentially.
    @_compile
    def score(query: Array, keys: Array, scores: Array) -> None:
        size = keys.shape[2]
        for place in range(keys.shape[0]):
            for head in range(keys.shape[1]):
                own, key = query[head * size : (head + 1) * size], keys[place, head]
                total = _ZERO
                for index in range(size):
                    total += own[index] * wide(key[index])
                scores[head, place] = total

    return score


def _sums(wide: _Number) -> Callable[..., None]:
    @_compile
    def weigh(scores: Array, values: Array, out: Array) -> None:
        size = values.shape[2]
        for index in range(out.shape[0]):
            out[index] = _ZERO
        for place in range(values.shape[0]):
            for head in range(values.shape[1]):
                own, value = out[head * size : (head + 1) * size], values[place, head]
                weight = scores[head, place]
                for index in range(size):
                    own[index] += weight * wide(value[index])

    return weigh


def _attention(read: _Number, store: _Store, wide: _Number, narrow: _Number) -> Callable[..., None]:
    """Build the attention; ``wide`` and ``narrow`` convert from and to the format of keys and values."""
    score, weigh = _scores(wide), _sums(wide)

    @_compile
    def attend(
        product: Array, offset: Array, keys: Array, values: Array, ends: Array, out: Array, scales: Array
    ) -> None:
        heads, size = keys.shape[2], keys.shape[3]
        width = heads * size
        scores = np.empty((heads, keys.shape[1]), np.float32)
        query, attended = np.empty(width, np.float32), np.empty(width, np.float32)
        sharpness = _ONE / np.sqrt(np.float32(size))
        for row in range(scales.shape[0]):
            numbers, scale, count = product[row], scales[row], ends[row] + 1
            new_key, new_value = keys[row, count - 1].reshape(width), values[row, count - 1].reshape(width)
            for at in range(width):
                of_key, of_value = at + width, at + 2 * width
                query[at] = (read(numbers[at]) * scale + offset[at]) * sharpness
                new_key[at] = narrow(read(numbers[of_key]) * scale + offset[of_key])
                new_value[at] = narrow(read(numbers[of_value]) * scale + offset[of_value])
            score(query, keys[row, :count], scores)
            for head in range(heads):
                _softmax(scores[head, :count])
            weigh(scores, values[row, :count], attended)
            scales[row] = store(attended, out[row])

    return attend


def _kernels(
    read: _Number, store: _Store, wide: _Number, narrow: _Number, types: tuple[torch.dtype, torch.dtype]
) -> Kernels:
    return Kernels(
        _norm(store),
        _add_norm(read, store),
        _add_norm(read, _keep),
        _activate(read, store),
        _attention(read, store, wide, narrow),
        *types,
    )


FP32: Final = _kernels(_same, _keep, _same, _same, (torch.float32, torch.float32))
BF16: Final = _kernels(_widened, _narrow, _widened, _narrowed, (torch.bfloat16, torch.bfloat16))
INT8: Final = _kernels(_same, _to_bytes, _widened, _narrowed, (torch.uint8, torch.bfloat16))
