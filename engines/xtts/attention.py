"""Attention of new tokens over the slots they are in, on the CPU: each over no more than its own slot holds.

It reads all keys and values once for each token, and that is what it costs. torch 2.13's own attention reads
them slowly for a single query, and has nothing quick for bfloat16, which is half to read. So the loops are
written out and compiled by numba, which comes with coqui-tts. Measured on one core, the thirty layers of a
step at full size, torch's in float32 and this in bfloat16:

================ ===== =====
rows × positions torch here
================ ===== =====
8 × 150             48    17 ms
8 × 400            108    30 ms
================ ===== =====
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numba  # pyright: ignore[reportMissingTypeStubs] - it ships none
import numpy as np
import numpy.typing as npt
import torch
from llvmlite import ir  # pyright: ignore[reportMissingTypeStubs] - as above
from numba.extending import intrinsic  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]
from torch import Tensor

Array: TypeAlias = npt.NDArray[Any]

_BITS: Final = np.uint32(16)
"""Bits of a float32 that a bfloat16 is without."""

_compile: Any = numba.njit(nogil=True, fastmath=True, error_model="numpy")
_types: Any = numba.types
_ir: Any = ir
_intrinsic: Any = intrinsic


@_intrinsic
def _as_float(_context: Any, bits: Any) -> Any:  # noqa: ANN401 - numba has no types
    """The float32 with these bits."""
    del bits

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - as above
        return builder.bitcast(arguments[0], _ir.FloatType())

    return _types.float32(_types.uint32), generate


def _plain(number: Any) -> Any:  # noqa: ANN401 - compiled for what it is given
    return number


def _widened(number: Any) -> Any:  # noqa: ANN401 - as above
    return _as_float(np.uint32(number) << _BITS)


def _attention(read: Callable[[Any], Any]) -> Callable[..., None]:
    """The loops over arrays whose numbers ``read`` turns into float32."""
    number = _compile(read)

    @_compile
    def attend(
        queries: Array, keys: Array, values: Array, lengths: Array, scale: np.float32, out: Array
    ) -> None:
        scores = np.empty(keys.shape[2], np.float32)
        for row in range(queries.shape[0]):
            count = lengths[row]
            for head in range(queries.shape[1]):
                query, result = queries[row, head], out[row, head]
                largest = np.float32(-np.inf)
                for place in range(count):
                    score = np.float32(0.0)
                    for index in range(query.shape[0]):
                        score += query[index] * number(keys[row, head, place, index])
                    score *= scale
                    scores[place] = score
                    largest = max(largest, score)
                total = np.float32(0.0)
                for place in range(count):
                    weight = np.float32(math.exp(scores[place] - largest))
                    scores[place] = weight
                    total += weight
                for index in range(result.shape[0]):
                    result[index] = np.float32(0.0)
                for place in range(count):
                    weight = scores[place] / total
                    for index in range(result.shape[0]):
                        result[index] += weight * number(values[row, head, place, index])

    return attend


_KERNELS: Final = {torch.float32: _attention(_plain), torch.bfloat16: _attention(_widened)}


class SlotAttention:
    """Attention over slots, which it sees where they are.

    Args:
        keys: ``(layers, slots, heads, positions, size)``, float32 or bfloat16, on the CPU.
        values: The same.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self._attend = _KERNELS[keys.dtype]
        self._keys = [_array(layer) for layer in keys]
        self._values = [_array(layer) for layer in values]
        self._scale = np.float32(keys.shape[-1] ** -0.5)

    def __call__(self, layer: int, queries: Tensor, lengths: Sequence[int]) -> Tensor:
        """What each row attends to.

        Args:
            layer: Which.
            queries: ``(rows, heads, size)``, float32; row ``i`` is slot ``i``.
            lengths: Positions that each row sees.

        Returns:
            ``(rows, heads, size)``.
        """
        out = torch.empty_like(queries, memory_format=torch.contiguous_format)
        self._attend(
            _array(queries.contiguous()),
            self._keys[layer],
            self._values[layer],
            np.asarray(lengths, np.int64),
            self._scale,
            _array(out),
        )
        return out


def _array(tensor: Tensor) -> Array:
    """The same memory as an array; bfloat16 as the integers that it is made of."""
    plain = tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor
    return plain.numpy()
