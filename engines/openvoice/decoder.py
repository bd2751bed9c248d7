"""Decoding of latents to a waveform: HiFi-GAN's generator, over rows of different lengths or pieces of them.

Method: Kong et al., "HiFi-GAN" (2020), https://arxiv.org/abs/2010.05646.
"""

import math
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name

from engines.openvoice.convolution import Convolution, Ends, batched, constants

_SLOPE: Final = 0.1
_LAST_SLOPE: Final = 0.01
"""Slope before the last convolution: torch's default, which coqui-tts and MyShell use there."""


class _Block:
    """Residual pairs of convolutions, of which the first one is dilated."""

    def __init__(self, block: Any, dtype: torch.dtype, device: torch.device) -> None:  # noqa: ANN401 - coqui-tts has no types
        pairs = zip(block.convs1, block.convs2, strict=True)
        self._pairs = [
            (Convolution(one, dtype, device), Convolution(two, dtype, device)) for one, two in pairs
        ]

    def __call__(self, x: Tensor, ends: Ends) -> Tensor:
        for dilated, plain in self._pairs:
            inner = dilated(ends.cut(F.leaky_relu(x, _SLOPE)))
            x = x + plain(ends.cut(F.leaky_relu_(inner, _SLOPE)))
        return x


class Decoder:
    """The generator of one checkpoint. Calls may run concurrently.

    Args:
        generator: coqui-tts' ``Generator``, with weight norms folded in.
        neutral: Tone colour to condition on, shape ``(colours,)``; ``None`` for each row's own.
        dtype: Dtype of weights and signals.
        device: Device that they are on.

    Attributes:
        samples_per_frame: Number of samples per frame.
        context: Number of frames on either side that a frame's samples depend on.
    """

    def __init__(
        self,
        generator: Any,  # noqa: ANN401 - coqui-tts has no types
        neutral: Tensor | None,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._dtype, self._device = dtype, device
        self._neutral = neutral
        self._first = Convolution(generator.conv_pre, dtype, device)
        self._last = Convolution(generator.conv_post, dtype, device)
        self._condition = Convolution(generator.cond, dtype, device)
        kernels: int = generator.num_kernels
        blocks = [_Block(block, dtype, device) for block in generator.resblocks]
        self._stages = [
            (Convolution(up, dtype, device), int(up.stride[0]), blocks[kernels * number :][:kernels])
            for number, up in enumerate(generator.ups)
        ]
        self.samples_per_frame = math.prod(rate for _, rate, _ in self._stages)
        self.context = _context(generator)

    def __call__(self, rows: list[Tensor], colours: list[Tensor]) -> list[Tensor]:
        """Decode rows together; each result is the same as alone.

        Args:
            rows: Latents, shapes ``(channels, frames)``.
            colours: Tone colour of each row, shape ``(colours,)``.

        Returns:
            Waveforms, float32 from -1 to 1, shapes ``(frames * samples_per_frame,)``.
        """
        x, ends = batched(rows, self._dtype, self._device)
        spoken = colours if self._neutral is None else [self._neutral] * len(rows)
        x = self._first(x) + self._condition(constants(spoken, self._dtype, self._device))
        for upsample, rate, blocks in self._stages:
            x = upsample(ends.cut(F.leaky_relu_(x, _SLOPE)))
            ends = ends.raised(rate)
            heard = blocks[0](x, ends)
            for block in blocks[1:]:
                heard += block(x, ends)
            x = heard.div_(len(blocks))
        x = self._last(ends.cut(F.leaky_relu_(x, _LAST_SLOPE))).float().tanh_()
        per_frame = self.samples_per_frame
        return [wave[0, 0, : row.shape[1] * per_frame] for wave, row in zip(x, rows, strict=True)]


def _context(generator: Any) -> int:  # noqa: ANN401 - coqui-tts has no types
    """Compute the generator's context on either side in frames, from its last layer to its first."""
    kernels: int = generator.num_kernels
    reach = float(generator.conv_post.padding[0])
    for number in reversed(range(generator.num_upsamples)):
        blocks = generator.resblocks[kernels * number :][:kernels]
        reach += max(sum(conv.padding[0] for conv in (*block.convs1, *block.convs2)) for block in blocks)
        up = generator.ups[number]
        reach = math.ceil((reach + up.kernel_size[0] - 1 - up.padding[0]) / up.stride[0])
    return math.ceil(reach + generator.conv_pre.padding[0])
