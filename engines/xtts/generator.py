"""The network of the vocoder: HiFiGAN's generator (Kong et al., 2020) as coqui-tts trains it for XTTS.

::

    frames ──conv──▶ + speaker ──▶ [ upsample ──▶ + speaker ──▶ residual blocks ] × 4 ──conv──▶ samples

Weights and arithmetic are those of coqui-tts, but the layout differs, and a window's context is only computed
as far as each stage needs it: much in the first stages, and hardly any in the last, which cost the most.
"""

from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from engines.xtts.convolution import SLOPE, Convolution, compute_type, pack_convolution, supported
from engines.xtts.precision import Precision

LAST_SLOPE: Final = 0.01
"""Negative slope of the leaky ReLU before the last convolution."""


class Generator:
    """Converts frames to samples. Thread-safe, since calls share no state.

    Args:
        network: coqui-tts' ``HifiganGenerator``; it is not changed.
        precision: Precision of the convolutions.
        device: Device that it runs on.

    Raises:
        EngineUnavailable: The device does not support the precision.
    """

    def __init__(self, network: Any, *, precision: Precision, device: torch.device) -> None:  # noqa: ANN401 - an untyped library's module
        self._device = device
        self._dtype = compute_type(precision)
        self._layout = torch.channels_last if device.type in {"cpu", "cuda"} else torch.contiguous_format
        self._speaker = _SpeakerBiases(network, device, self._dtype)
        blocks = len(network.resblocks) // len(network.ups)
        # int8 only for the residual blocks: they are 96 % of the work, and their residuals are not rounded.
        outer = precision
        if precision is Precision.INT8:
            outer = Precision.BF16 if supported(Precision.BF16, device) else Precision.FP32
        self._outer_dtype = compute_type(outer)
        self._first = _packed(network.conv_pre, precision=outer, device=device)
        # A stage's output is the mean of its blocks; the division is folded into the next weights.
        self._stages = [
            _Stage(
                upsample,
                network.resblocks[at * blocks : (at + 1) * blocks],
                share=1.0 if at == 0 else 1.0 / blocks,
                precision=precision,
                outer=outer,
                device=device,
            )
            for at, upsample in enumerate(network.ups)
        ]
        plain = Precision.FP32 if precision is Precision.INT8 else precision
        self._last = _packed(network.conv_post, share=1.0 / blocks, precision=plain, device=device)
        self._margins = _margins(network)
        self.context: Final = self._margins[0] + network.conv_pre.padding[0]
        """Number of frames on either side that a frame's samples depend on."""
        self.samples_per_frame: Final = _product(upsample.stride[0] for upsample in network.ups)
        """Number of samples per frame."""

    @torch.inference_mode()
    def samples(self, frames: Tensor, speakers: Tensor, *, before: int = 0, after: int = 0) -> Tensor:
        """Return the samples of ``frames``, without those of the context.

        Args:
            frames: ``(rows, width, n)``.
            speakers: ``(rows, speaker width, 1)``.
            before: Frames of context at the start; fewer than :attr:`context` at the start of a sentence.
            after: Frames of context at the end; fewer than :attr:`context` at the end of a sentence.

        Returns:
            ``(rows, (n - before - after) × samples_per_frame)`` float32.
        """
        biases = self._speaker(speakers)
        signal = (
            frames.to(self._device, self._outer_dtype).unsqueeze(2).contiguous(memory_format=self._layout)
        )
        signal = _biased(self._first.plain(signal).to(self._dtype), biases[0])
        for stage, margin, bias in zip(self._stages, self._margins, biases[1:], strict=False):
            signal, before, after = _trimmed(signal, before, after, margin)
            signal = stage(signal, bias)
            before, after = before * stage.factor, after * stage.factor
        signal, before, after = _trimmed(signal, before, after, self._margins[-1])
        signal = self._last.plain(functional.leaky_relu(signal, LAST_SLOPE))
        length = signal.shape[-1] - before - after
        return torch.tanh(signal[:, 0, 0, before : before + length].float())


class _SpeakerBiases:
    """The speaker's bias of the channels, after the first convolution and after each upsampling."""

    def __init__(self, network: Any, device: torch.device, dtype: torch.dtype) -> None:  # noqa: ANN401 - as above
        layers = [network.cond_layer] + (list(network.conds) if network.cond_in_each_up_layer else [])
        self._sizes: list[int] = [layer.weight.shape[0] for layer in layers]
        self._stages = len(network.ups)
        self._weight = torch.cat([layer.weight.detach()[..., 0] for layer in layers]).float().to(device)
        self._bias = torch.cat([layer.bias.detach() for layer in layers]).float().to(device)
        self._dtype = dtype

    def __call__(self, speakers: Tensor) -> list[Tensor | None]:
        """Return the bias ``(rows, channels, 1, 1)`` at each place; ``None`` where the network has none."""
        speakers = speakers[..., 0].to(self._weight)
        sums = functional.linear(speakers, self._weight, self._bias).to(self._dtype)[:, :, None, None]
        parts: list[Tensor | None] = list(torch.split_with_sizes(sums, self._sizes, dim=1))
        return parts + [None] * (1 + self._stages - len(parts))


class _Stage:
    """Upsampling by :attr:`factor`, then the sum of the residual blocks."""

    def __init__(
        self,
        upsample: Any,  # noqa: ANN401 - as above
        blocks: Any,  # noqa: ANN401 - as above
        *,
        share: float,
        precision: Precision,
        outer: Precision,
        device: torch.device,
    ) -> None:
        self.factor: Final[int] = upsample.stride[0]
        self._upsample = pack_convolution(
            _phases(upsample) * share,
            upsample.bias.detach().repeat(self.factor),
            precision=outer,
            device=device,
        )
        self._outer_dtype, self._dtype = compute_type(outer), compute_type(precision)
        self._blocks = [
            [
                (
                    _packed(near, precision=precision, device=device),
                    _packed(far, precision=precision, device=device),
                )
                for near, far in zip(block.convs1, block.convs2, strict=True)
            ]
            for block in blocks
        ]

    def __call__(self, signal: Tensor, bias: Tensor | None) -> Tensor:
        activated = functional.leaky_relu(signal, SLOPE).to(self._outer_dtype)
        signal = self._interleaved(self._upsample.plain(activated).to(self._dtype))
        signal = _biased(signal, bias)
        activated = functional.leaky_relu(signal, SLOPE)
        total: Tensor | None = None
        for block in self._blocks:
            of_block = _residual(block, signal.clone(), activated)
            total = of_block if total is None else total.add_(of_block)
        assert total is not None  # noqa: S101 - every network has blocks
        return total

    def _interleaved(self, phases: Tensor) -> Tensor:
        """Reshape ``(rows, factor × channels, 1, n)`` to ``(rows, channels, 1, n × factor)``."""
        rows, outputs, _, time = phases.shape
        signal = phases.permute(0, 2, 3, 1).reshape(rows, 1, time * self.factor, outputs // self.factor)
        return signal.permute(0, 3, 1, 2)


def _residual(block: list[tuple[Convolution, Convolution]], signal: Tensor, activated: Tensor) -> Tensor:
    for at, (near, far) in enumerate(block):
        if at > 0:
            activated = functional.leaky_relu(signal, SLOPE)
        signal = far.onto(signal, near.activated(activated))
    return signal


def _biased(signal: Tensor, bias: Tensor | None) -> Tensor:
    return signal if bias is None else signal.add_(bias)


def _trimmed(signal: Tensor, before: int, after: int, margin: int) -> tuple[Tensor, int, int]:
    """Trim the context at either end to at most ``margin``; return the signal and its remaining context."""
    start, end = max(0, before - margin), max(0, after - margin)
    return signal[..., start : signal.shape[-1] - end], before - start, after - end


def _packed(layer: Any, *, share: float = 1.0, precision: Precision, device: torch.device) -> Convolution:  # noqa: ANN401 - as above
    """Pack ``layer``, with its weight norm folded in: the parametrised weight is computed on access."""
    bias = None if layer.bias is None else layer.bias.detach()
    return pack_convolution(
        layer.weight.detach() * share, bias, dilation=layer.dilation[0], precision=precision, device=device
    )


def _phases(upsample: Any) -> Tensor:  # noqa: ANN401 - as above
    """Convert a transposed convolution's weight to a plain one's, with one output per phase and channel.

    Sample ``t × stride + phase`` is the sum over ``shift`` of
    ``input[t - shift] × weight[shift × stride + phase + padding]``.

    Returns:
        ``(stride × out, in, taps)``, phases outermost.
    """
    weight = upsample.weight.detach()
    inputs, outputs, size = weight.shape
    stride, padding = upsample.stride[0], upsample.padding[0]
    reach = _reach(upsample)
    phases = weight.new_zeros(stride, outputs, inputs, 2 * reach + 1)
    for phase in range(stride):
        for shift in range(-reach, reach + 1):
            at = shift * stride + phase + padding
            if 0 <= at < size:
                phases[phase, :, :, reach - shift] = weight[:, :, at].T
    return phases.reshape(stride * outputs, inputs, 2 * reach + 1)


def _reach(upsample: Any) -> int:  # noqa: ANN401 - as above
    """Compute the number of inputs on either side that an upsampled sample depends on."""
    size, stride, padding = upsample.weight.shape[-1], upsample.stride[0], upsample.padding[0]
    return max((size - 1 - padding) // stride, (padding + stride - 1) // stride)


def _margins(network: Any) -> list[int]:  # noqa: ANN401 - as above
    """Compute the context needed before each stage and the last convolution, in samples of their inputs."""
    margin = network.conv_post.padding[0]
    margins = [margin]
    blocks = len(network.resblocks) // len(network.ups)
    for at in reversed(range(len(network.ups))):
        upsample = network.ups[at]
        margin += max(
            sum(layer.padding[0] for layer in (*block.convs1, *block.convs2))
            for block in network.resblocks[at * blocks : (at + 1) * blocks]
        )
        margin = -(-margin // upsample.stride[0]) + _reach(upsample)
        margins.insert(0, margin)
    return margins


def _product(factors: Any) -> int:  # noqa: ANN401 - as above
    product = 1
    for factor in factors:
        product *= factor
    return product
