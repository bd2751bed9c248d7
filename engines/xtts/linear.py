"""The decoder's matrix products, each packed once for the device and the precision it runs in.

On the CPU the weights go through oneDNN, reordered for its kernels when they are packed. Measured on a core
with AVX-512 BF16 and VNNI, the products of one step of the full-size decoder (thirty layers of 1024):

========= ===== ===== ===== ===== =====
rows          1     4     8    16
========= ===== ===== ===== ===== =====
unpacked     70   119   146   199   ms
fp32         47    47    57    77   ms
bf16         24    25    30    40   ms
int8         15    15    17    23   ms
========= ===== ===== ===== =====
"""

from typing import Any, Final, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from engines.xtts.kernels import LEVELS, ZERO_POINT
from engines.xtts.precision import DTYPES, Precision, has_onednn

FEWEST_ROWS: Final = 4
"""oneDNN's kernels for fewer rows are slower than those for this many, so one row is filled up to it."""

MANY_ROWS: Final = 16
"""Above it, rows are filled up to a multiple of it: oneDNN makes and keeps a kernel for each number."""

_mkldnn: Any = torch.ops.mkldnn
_onednn: Any = torch.ops.onednn


class Linear(Protocol):
    """A matrix product with its bias. Every row of its result depends on that row alone, in every precision.

    Attributes:
        bias: ``(out,)`` float32.
    """

    bias: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        """Float32 ``(rows, in)`` to float32 ``(rows, out)``."""
        ...

    def product(self, encoded: Tensor) -> Tensor:
        """The product alone, of :func:`filled` many rows as :mod:`engines.xtts.kernels` encode them.

        Returns:
            ``(rows, out)``, float32, or bfloat16 for bfloat16. That of bytes is still to be multiplied by the
            scale of each row.
        """
        ...


def pack_linear(weight: Tensor, bias: Tensor, precision: Precision, device: torch.device) -> Linear:
    """A matrix product with packed weights.

    Args:
        weight: ``(out, in)``.
        bias: ``(out,)``.
        precision: How to hold and multiply them; int8 is for the CPU.
        device: Where.

    Raises:
        ValueError: int8 on another device than the CPU.
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
        # What oneDNN does not multiply here is rounded all the same, and multiplied in float32.
        return _Reordered(weight if has_onednn(precision) else weight.float(), bias)
    return _Plain(weight, bias)


def filled(count: int) -> int:
    """How many rows ``count`` are filled up to."""
    return max(FEWEST_ROWS, count if count <= MANY_ROWS else -(-count // MANY_ROWS) * MANY_ROWS)


class _Plain:
    """torch's own product, on any device."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.bias = bias
        self._weight = weight
        self._bias = bias.to(weight.dtype)

    def __call__(self, rows: Tensor) -> Tensor:
        return functional.linear(rows.to(self._weight.dtype), self._weight, self._bias).float()

    def product(self, encoded: Tensor) -> Tensor:
        return functional.linear(encoded, self._weight)


class _Reordered:
    """Through oneDNN, in float32 or bfloat16."""

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
    """A scale for each output and one for each row: one for the whole batch would tie its rows together."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.bias = bias
        self._scales = weight.abs().amax(1).clamp_min(1e-12) / LEVELS
        whole = (weight / self._scales[:, None]).round_().clamp_(-LEVELS, LEVELS).to(torch.int8)
        self._packed = _onednn.qlinear_prepack(
            whole.contiguous(), None
        )  # it takes strides for what they are not
        self._zeros = torch.zeros(weight.shape[0], dtype=torch.int32)
        self._linear = _onednn.qlinear_pointwise.default

    def __call__(self, rows: Tensor) -> Tensor:
        scale = rows.abs().amax(-1, keepdim=True).clamp_min(1e-12) / LEVELS
        # Half a step is added as the conversion cuts off; all values are positive here.
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
    """``rows`` and as many blank ones as make their number one of few."""
    count = rows.shape[0]
    wanted = filled(count)
    return rows if wanted == count else functional.pad(rows, (0, 0, 0, wanted - count))
