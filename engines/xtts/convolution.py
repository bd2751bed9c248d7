"""The vocoder's convolutions, each packed once for its device and precision.

Tensors are ``(rows, channels, 1, time)``; on the CPU channels last (``time × channels``), the layout in which
oneDNN reaches the machine's peak. Multiply-adds per nanosecond, measured on one core with AVX-512 BF16 and
VNNI for the residual blocks' convolutions (32 to 256 channels, 3 to 11 taps, dilated or not): 20-55 as
``(channels, time)``, 44-57 channels last, 91-113 in bf16, 158-250 in int8.
"""

from typing import Any, Final, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from engines.contract import EngineUnavailable
from engines.xtts.precision import DTYPES, Precision, has_onednn

SLOPE: Final = 0.1
"""Negative slope of all leaky ReLUs but the last."""

ZERO: Final = 23
"""Zero point of the activations' bytes. After a leaky ReLU, a tenth of the range is negative."""

ROUNDER: Final = 12582912.0
"""1.5 × 2²³; the sum of it and a small float32 has that number, rounded to an integer, in its low bits."""

_mkldnn: Any = torch.ops.mkldnn
_onednn: Any = torch.ops.onednn
_cpu: Any = torch.cpu


class Convolution(Protocol):
    """A convolution along time with stride 1 that keeps the length."""

    def plain(self, inputs: Tensor) -> Tensor:
        """Return the convolution of ``inputs``."""
        ...

    def activated(self, inputs: Tensor) -> Tensor:
        """Return the leaky ReLU of the convolution."""
        ...

    def onto(self, residual: Tensor, inputs: Tensor) -> Tensor:
        """Add the convolution to ``residual`` in place, and return it."""
        ...


def supported(precision: Precision, device: torch.device) -> bool:
    """Whether ``device`` supports ``precision`` natively, at least as fast as float32."""
    if precision is Precision.FP32:
        return True
    if device.type != "cpu":
        if precision is Precision.BF16 and device.type == "cuda":
            return torch.cuda.is_bf16_supported()
        return precision is Precision.FP16
    if not torch.backends.mkldnn.is_available():
        return False
    # Without VNNI, oneDNN's int8 products saturate in pairs, and sums are wrong.
    needed = {
        Precision.BF16: ("_is_avx512_bf16_supported", "_is_amx_tile_supported"),
        Precision.INT8: ("_is_vnni_supported",),
    }
    return any(getattr(_cpu, name, bool)() for name in needed.get(precision, ()))


def compute_type(precision: Precision) -> torch.dtype:
    """Return the dtype of the activations between the convolutions."""
    return DTYPES.get(precision, torch.float32)


def pack_convolution(
    weight: Tensor, bias: Tensor | None, *, dilation: int = 1, precision: Precision, device: torch.device
) -> Convolution:
    """Create a convolution with packed weights.

    Args:
        weight: ``(out, in, taps)``, float32, with an odd number of taps.
        bias: ``(out,)``, float32.
        dilation: Distance between taps.
        precision: Precision of weights and activations; int8 only on the CPU.
        device: Device that it runs on.

    Raises:
        EngineUnavailable: The device does not support the precision.
    """
    if precision is Precision.INT8:
        if not supported(precision, device):
            raise EngineUnavailable(f"The vocoder cannot run in int8 on this {device.type}. Choose fp32.")
        return _Bytes(weight, bias, dilation)
    dtype = DTYPES[precision]
    weight = weight.to(device, dtype)
    bias = None if bias is None else bias.to(device, dtype)
    if device.type == "cpu" and has_onednn(precision):
        return _Reordered(weight, bias, dilation)
    return _Plain(weight, bias, dilation)


def _same(weight: Tensor, dilation: int) -> int:
    """Compute the padding that preserves the length."""
    return (weight.shape[-1] - 1) * dilation // 2


class _Plain:
    """Torch's own convolution, on any device.

    On a CPU it computes in float32, with numbers rounded to the precision: torch's own bf16 takes 28 times
    as long there.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dilation: int) -> None:
        if weight.device.type == "cpu":
            weight, bias = weight.float(), None if bias is None else bias.float()
        self._weight = weight.unsqueeze(2)
        self._bias = bias
        self._dilation = (1, dilation)
        self._padding = (0, _same(weight, dilation))

    def plain(self, inputs: Tensor) -> Tensor:
        held = inputs.to(self._weight.dtype)
        product = functional.conv2d(
            held, self._weight, self._bias, padding=self._padding, dilation=self._dilation
        )
        return product.to(inputs.dtype)

    def activated(self, inputs: Tensor) -> Tensor:
        return functional.leaky_relu_(self.plain(inputs), SLOPE)

    def onto(self, residual: Tensor, inputs: Tensor) -> Tensor:
        return residual.add_(self.plain(inputs))


class _Reordered:
    """oneDNN's convolution, with weights reordered once, and with the ReLU and the sum fused.

    Time on one core relative to torch's own channels-last convolution: 0.9 for windows of 24 frames, 0.95 for
    64.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dilation: int) -> None:
        self._bias = bias
        self._where = ([0, _same(weight, dilation)], [1, 1], [1, dilation], 1)
        self._weight = _mkldnn._reorder_convolution_weight(weight.unsqueeze(2).contiguous(), *self._where)  # noqa: SLF001 - oneDNN's own operators have no public name

    def plain(self, inputs: Tensor) -> Tensor:
        return _mkldnn._convolution_pointwise(  # noqa: SLF001 - as above
            inputs, self._weight, self._bias, *self._where, "none", [], None
        )

    def activated(self, inputs: Tensor) -> Tensor:
        return _mkldnn._convolution_pointwise(  # noqa: SLF001 - as above
            inputs, self._weight, self._bias, *self._where, "leaky_relu", [SLOPE], None
        )

    def onto(self, residual: Tensor, inputs: Tensor) -> Tensor:
        return _mkldnn._convolution_pointwise_.binary(
            residual, inputs, self._weight, self._bias, *self._where, "add", 1.0, None, [], None
        )


class _Bytes:
    """oneDNN's int8 convolution, with float32 output. Its inputs are outputs of a leaky ReLU.

    Weights have a scale per output channel, activations one per window. The latter depends on the window, so
    a batch must hold only one window, whose result would else depend on the others. The zero point is
    corrected in the bias, and the padding is explicit, since with oneDNN's own support for either, dilated
    convolutions take twice as long.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dilation: int) -> None:
        outputs = weight.shape[0]
        weight = weight.detach().float()
        self._scales = weight.abs().amax((1, 2)).clamp_min(1e-12) / 127.0
        whole = (weight / self._scales[:, None, None]).round_().to(torch.int8)
        self._bias = torch.zeros(outputs) if bias is None else bias.detach().float()
        self._of_zero = whole.sum((1, 2)) * self._scales * ZERO
        self._zeros = torch.zeros(outputs, dtype=torch.int64)
        self._padding = _same(weight, dilation)
        self._rounder = torch.tensor(ROUNDER + ZERO)
        self._where = ([1, 1], [0, 0], [1, dilation], 1)
        self._weight = _onednn.qconv_prepack(whole.unsqueeze(2), self._scales, 1.0, 0, *self._where, None)

    def plain(self, inputs: Tensor) -> Tensor:
        levels, scale = self._levels(inputs)
        return _onednn.qconv_pointwise(
            *self._operands(levels, scale),
            self._less_zero(scale),
            *self._where,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            None,
        )

    def activated(self, inputs: Tensor) -> Tensor:
        return functional.leaky_relu_(self.plain(inputs), SLOPE)

    def onto(self, residual: Tensor, inputs: Tensor) -> Tensor:
        levels, scale = self._levels(inputs)
        return _onednn.qconv2d_pointwise.binary(
            *self._operands(levels, scale),
            residual,
            self._less_zero(scale),
            *self._where,
            *(1.0, 0, torch.float32, 1.0, 0),
            *("sum", 1.0, "none", [], None),
        )

    def _operands(self, levels: Tensor, scale: float) -> tuple[Any, ...]:
        return (levels, scale, 0, self._weight, self._scales, self._zeros)

    def _less_zero(self, scale: float) -> Tensor:
        return torch.add(self._bias, self._of_zero, alpha=-scale)

    def _levels(self, inputs: Tensor) -> tuple[Tensor, float]:
        """Quantise ``inputs``; return them padded, as uint8, and the scale."""
        _, channels, _, time = inputs.shape
        # Half a step at either end is left for rounding.
        scale = max(inputs.amax().item() / (254.5 - ZERO), -inputs.amin().item() / (ZERO - 0.5), 1e-12)
        rounded = torch.add(self._rounder, inputs, alpha=1.0 / scale)
        padded = torch.full((1, 1, time + 2 * self._padding, channels), ZERO, dtype=torch.uint8).permute(
            0, 3, 1, 2
        )
        padded[..., self._padding : self._padding + time].copy_(rounded.view(torch.int32))
        return padded, scale
