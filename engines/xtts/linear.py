"""The decoder's matrix products, each packed once for the device and the precision it runs in.

On the CPU the weights go through oneDNN, reordered for its kernels when they are packed. Measured on a core
with AVX-512 BF16 and VNNI, the products of one step of the full-size decoder (thirty layers of 1024):

========= ===== ===== ===== ===== =====
rows          1     4     8    16
========= ===== ===== ===== ===== =====
unpacked    105   164   192   254   ms
fp32         89    66    95   134   ms
bf16         41    35    50    73   ms
int8         28    27    36    50   ms
========= ===== ===== ===== ===== =====
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from engines.xtts.precision import DTYPES, Precision

Linear: TypeAlias = Callable[[Tensor], Tensor]
"""A matrix product with its bias: float32 ``(rows, in)`` to float32 ``(rows, out)``."""

FEWEST_ROWS: Final = 4
"""oneDNN's kernels for fewer rows are slower than those for this many; the table above has it."""

MANY_ROWS: Final = 16
"""Above it, rows are filled up to a multiple of it: oneDNN makes and keeps a kernel for each number."""

ZERO_POINT: Final = 128
"""Activations are unsigned, as VNNI multiplies unsigned by signed bytes; signed ones have no quick kernel."""

LEVELS: Final = 127.0
"""Steps on either side of zero."""

_mkldnn: Any = torch.ops.mkldnn
_onednn: Any = torch.ops.onednn


def pack_linear(weight: Tensor, bias: Tensor, precision: Precision, device: torch.device) -> Linear:
    """A matrix product with packed weights.

    Every row of its result depends on that row alone, in every precision.

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
        return _plain(weight.to(device, DTYPES[precision]), bias.to(device, DTYPES[precision]))
    if precision is Precision.INT8:
        return _bytes(weight.float(), bias)
    if torch.backends.mkldnn.is_available():
        return _reordered(weight.to(DTYPES[precision]), bias)
    return _plain(weight.to(DTYPES[precision]), bias.to(DTYPES[precision]))


def _plain(weight: Tensor, bias: Tensor) -> Linear:
    dtype = weight.dtype

    def linear(rows: Tensor) -> Tensor:
        return functional.linear(rows.to(dtype), weight, bias).float()

    return linear


def _reordered(weight: Tensor, bias: Tensor) -> Linear:
    dtype = weight.dtype
    packed = _mkldnn._reorder_linear_weight(weight.contiguous(), 8)  # noqa: SLF001 - oneDNN's own operators have no public name
    bias = bias.to(dtype)

    def linear(rows: Tensor) -> Tensor:
        count = rows.shape[0]
        product: Tensor = _mkldnn._linear_pointwise(_filled(rows.to(dtype)), packed, bias, "none", [], "")  # noqa: SLF001 - as above
        return product[:count].float()

    return linear


def _bytes(weight: Tensor, bias: Tensor) -> Linear:
    """A scale for each output and one for each row: one for the whole batch would tie its rows together."""
    scales = weight.abs().amax(1).clamp_min(1e-12) / LEVELS
    whole = (weight / scales[:, None]).round_().clamp_(-LEVELS, LEVELS).to(torch.int8)
    packed = _onednn.qlinear_prepack(whole.contiguous(), None)  # it takes strides for what they are not
    zeros = torch.zeros(weight.shape[0], dtype=torch.int32)

    def linear(rows: Tensor) -> Tensor:
        scale = rows.abs().amax(-1, keepdim=True).clamp_min(1e-12) / LEVELS
        # Half a step is added as the conversion cuts off; all values are positive here.
        levels = _filled((rows / scale).add_(ZERO_POINT + 0.5).to(torch.uint8))
        product: Tensor = _onednn.qlinear_pointwise(
            levels, 1.0, ZERO_POINT, packed, scales, zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return torch.addcmul(bias, product[: rows.shape[0]], scale)

    return linear


def _filled(rows: Tensor) -> Tensor:
    """``rows`` and as many blank ones as make their number one of few."""
    count = rows.shape[0]
    wanted = max(FEWEST_ROWS, count if count <= MANY_ROWS else -(-count // MANY_ROWS) * MANY_ROWS)
    return rows if wanted == count else functional.pad(rows, (0, 0, 0, wanted - count))
