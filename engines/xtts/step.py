"""A token for every row, on the CPU.

The products are oneDNN's; what lies between them is in :mod:`engines.xtts.kernels`.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from engines.xtts import kernels
from engines.xtts.kernels import Array, array
from engines.xtts.layer import Layer, Norm
from engines.xtts.linear import Linear, filled
from engines.xtts.precision import Precision

KERNELS: Final = {
    Precision.FP32: kernels.FP32,
    Precision.BF16: kernels.BF16,
    Precision.INT8: kernels.INT8,
}


class _Linear(NamedTuple):
    product: Any
    bias: Array

    @classmethod
    def of(cls, linear: Linear) -> "_Linear":
        return cls(linear.product, array(linear.bias))


class _Layer(NamedTuple):
    qkv: _Linear
    output: _Linear
    mlp_norm: kernels.Norm
    mlp_in: _Linear
    mlp_out: _Linear
    next_norm: kernels.Norm | None
    keys: Array
    values: Array


class Step:
    """The layers over slots, which it writes to where they are. Not for several threads at once.

    Args:
        layers: All of them.
        last: The norm after them.
        precision: Theirs.
        keys: ``(layers, slots, positions, heads, size)`` in the kernels' type, on the CPU.
        values: The same.
    """

    def __init__(
        self, layers: Sequence[Layer], last: Norm, precision: Precision, keys: Tensor, values: Tensor
    ) -> None:
        self._kernels = KERNELS[precision]
        self._first = _norm(layers[0].norm)
        self._last = _norm(last)
        following = [_norm(layer.norm) for layer in layers[1:]]
        self._layers = [
            _Layer(
                _Linear.of(layer.qkv),
                _Linear.of(layer.output),
                _norm(layer.mlp_norm),
                _Linear.of(layer.mlp_in),
                _Linear.of(layer.mlp_out),
                next_norm,
                array(keys[index]),
                array(values[index]),
            )
            for index, (layer, next_norm) in enumerate(zip(layers, [*following, None], strict=True))
        ]
        slots = keys.shape[1]
        # What fills the rows up is multiplied and left; it only must be numbers.
        self._narrow = torch.zeros(filled(slots), last.weight.shape[0], dtype=self._kernels.encoded)
        self._wide = torch.zeros(filled(slots), layers[0].mlp_in.bias.shape[0], dtype=self._kernels.encoded)
        self._scales = np.ones(slots, np.float32)

    def __call__(self, rows: Tensor, ends: Sequence[int]) -> Tensor:
        """Take a token for each row in.

        Args:
            rows: Their embeddings, float32 ``(rows, width)``; row ``i`` is slot ``i``. They are written over.
            ends: Positions that each slot held before.

        Returns:
            Hidden states ``(rows, width)``, float32.
        """
        own, count = self._kernels, rows.shape[0]
        narrow, wide = self._narrow[: filled(count)], self._wide[: filled(count)]
        sums, out, out_wide = array(rows), array(narrow), array(wide)
        scales, places = self._scales[:count], np.asarray(ends, np.int64)
        hidden = torch.empty_like(rows)
        own.norm(sums, self._first, out, scales)
        for layer in self._layers:
            product = array(layer.qkv.product(narrow))
            own.attend(product, layer.qkv.bias, layer.keys, layer.values, places, out, scales)
            product = array(layer.output.product(narrow))
            own.add_norm(sums, product, layer.output.bias, layer.mlp_norm, out, scales)
            product = array(layer.mlp_in.product(narrow))
            own.gelu(product, layer.mlp_in.bias, out_wide, scales)
            product = array(layer.mlp_out.product(wide))
            if layer.next_norm is None:
                own.add_last(sums, product, layer.mlp_out.bias, self._last, array(hidden), scales)
            else:
                own.add_norm(sums, product, layer.mlp_out.bias, layer.next_norm, out, scales)
        return hidden


def _norm(norm: Norm) -> kernels.Norm:
    return array(norm.weight), array(norm.bias), np.float32(norm.eps)
