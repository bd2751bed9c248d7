"""The decoder's matrix products, each packed once for its device and precision.

On the CPU, oneDNN computes them, with weights reordered for its kernels when packed. Time of the products of
one step of the full-size decoder (thirty layers of 1024), on one core with AVX-512 BF16 and VNNI:

========= ===== ===== ===== ===== =====
rows          1     4     8    16
========= ===== ===== ===== ===== =====
unpacked     70   119   146   199   ms
fp32         47    47    57    77   ms
bf16         24    25    30    40   ms
int8         15    15    17    23   ms
========= ===== ===== ===== ===== =====
"""

from typing import Any, Final, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from engines.xtts.kernels import LEVELS, ZERO_POINT
from engines.xtts.precision import DTYPES, Precision, has_onednn

FEWEST_ROWS: Final = 4
"""Minimum number of rows, by padding: oneDNN's kernels for fewer rows are slower."""

MANY_ROWS: Final = 16
"""Above it, rows are padded to a multiple of it: oneDNN creates and caches a kernel for each number."""

_mkldnn: Any = torch.ops.mkldnn
_onednn: Any = torch.ops.onednn


class Linear(Protocol):
    """A matrix product with bias. In every precision, each row of the result depends only on its input row.

    Attributes:
        bias: Shape ``(out,)``, float32.
    """

    bias: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        """Map ``(rows, in)`` to ``(rows, out)``, both float32."""
        ...

    def product(self, encoded: Tensor) -> Tensor:
        """Compute the product without bias, of rows encoded by :mod:`engines.xtts.kernels`.

        Their number must be a result of :func:`filled`.

        Returns:
            ``(rows, out)``, bfloat16 for bfloat16 input, else float32. For bytes, its rows must still be
            multiplied by their scales.
        """
        ...


def pack_linear(weight: Tensor, bias: Tensor, precision: Precision, device: torch.device) -> Linear:
    """Create a matrix product with packed weights.

    Args:
        weight: ``(out, in)``.
        bias: ``(out,)``.
        precision: Precision of weights and products; int8 only on the CPU.
        device: Device that it runs on.

    Raises:
        ValueError: int8 on a device other than the CPU.
    """
    weight, bias = weight.detach(), bias.detach().float()
    if device.type != "cpu":
        if precision is Precision.INT8:
            raise ValueError("int8 weights are for the CPU")
        return _Plain(weight.to(device, DTYPES[precision]), bias.to(device))
    if precision is Precision.INT8:
        return _Bytes(weight.float(), bias)
    weight = weight.to(DTYPES[precision])
    if torch.backends.mkldnn.is_available():
        # If oneDNN does not support the precision, weights are rounded to it, but multiplied in float32.
        return _Reordered(weight if has_onednn(precision) else weight.float(), bias)
    return _Plain(weight, bias)


def filled(count: int) -> int:
    """Return the number of rows that ``count`` rows are padded to."""
    return max(FEWEST_ROWS, count if count <= MANY_ROWS else -(-count // MANY_ROWS) * MANY_ROWS)


class _Plain:
    """Torch's own product, on any device."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.bias = bias
        self._weight = weight
        self._bias = bias.to(weight.dtype)

    def __call__(self, rows: Tensor) -> Tensor:
        return functional.linear(rows.to(self._weight.dtype), self._weight, self._bias).float()

    def product(self, encoded: Tensor) -> Tensor:
        return functional.linear(encoded, self._weight)


class _Reordered:
    """oneDNN's product, in float32 or bfloat16."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.bias = bias
        self._dtype = weight.dtype
        self._bias = bias.to(weight.dtype)
        self._packed = _mkldnn._reorder_linear_weight(weight.contiguous(), 8)  # noqa: SLF001 - oneDNN's own operators have no public name
        self._linear = _mkldnn._linear_pointwise.default  # noqa: SLF001 - as above

    def __call__(self, rows: Tensor) -> Tensor:
        count = rows.shape[0]
        product: Tensor = self._linear(
            _filled(rows.to(self._dtype)), self._packed, self._bias, "none", [], ""
        )
        return product[:count].float()

    def product(self, encoded: Tensor) -> Tensor:
        product: Tensor = self._linear(encoded.to(self._dtype), self._packed, None, "none", [], "")
        return product.to(encoded.dtype)


class _Bytes:
    """oneDNN's int8 product, with one scale per output and one per row, which keeps the rows independent."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.bias = bias
        self._scales = weight.abs().amax(1).clamp_min(1e-12) / LEVELS
        whole = (weight / self._scales[:, None]).round_().clamp_(-LEVELS, LEVELS).to(torch.int8)
        self._packed = _onednn.qlinear_prepack(
            whole.contiguous(), None
        )  # it misinterprets the strides of other layouts
        self._zeros = torch.zeros(weight.shape[0], dtype=torch.int32)
        self._linear = _onednn.qlinear_pointwise.default

    def __call__(self, rows: Tensor) -> Tensor:
        scale = rows.abs().amax(-1, keepdim=True).clamp_min(1e-12) / LEVELS
        # The conversion truncates, and all values are positive: adding half a step rounds.
        levels = (rows / scale).add_(ZERO_POINT + 0.5).to(torch.uint8)
        return torch.addcmul(self.bias, self.product(_filled(levels))[: rows.shape[0]], scale)

    def product(self, encoded: Tensor) -> Tensor:
        product: Tensor = self._linear(
            encoded,
            1.0,
            ZERO_POINT,
            self._packed,
            self._scales,
            self._zeros,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        return product


def _filled(rows: Tensor) -> Tensor:
    """Pad ``rows`` with zeros to one of few numbers of rows."""
    count = rows.shape[0]
    wanted = filled(count)
    return rows if wanted == count else functional.pad(rows, (0, 0, 0, wanted - count))
