"""Convolutions over time, in the fastest layout on the CPU.

Signals have the shape ``(rows, channels, 1, frames)`` in the memory format ``channels_last``: oneDNN then
neither reorders them around each layer, nor leaves vector units idle with few channels. On one core with
AVX-512, a float32 convolution of 32 channels does 50 instead of 11 to 26 billion multiplications per second,
one of 256 channels 50 instead of 36 to 53, and bfloat16 about 105 instead of 45 to 105.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name

GRAINS: Final = ((128, 16), (512, 32))
"""Maximum numbers of frames, and the multiple to which signals up to that length are padded; longer: 128.

oneDNN compiles each convolution for each length, which costs 0.1 s and 3 to 15 MB in a decoder, and sentences
have hundreds of lengths.
"""
_COARSEST: Final = 128


class Convolution:
    """A 1-D convolution or its transpose, with the weights of torch's own layer.

    Args:
        layer: ``nn.Conv1d`` or ``nn.ConvTranspose1d``, with weight norm folded in.
        dtype: Dtype of weights and signals.
        device: Device that they are on.
    """

    def __init__(self, layer: Any, dtype: torch.dtype, device: torch.device) -> None:  # noqa: ANN401 - one of two
        weight: Tensor = layer.weight.detach().unsqueeze(2)
        self._weight = weight.to(device, dtype, memory_format=torch.channels_last)
        self._bias: Tensor | None = None if layer.bias is None else layer.bias.detach().to(device, dtype)
        self._stride, self._padding, self._dilation = layer.stride[0], layer.padding[0], layer.dilation[0]
        self._transposed: bool = layer.transposed

    def __call__(self, x: Tensor) -> Tensor:
        """Map ``(rows, channels in, 1, frames)`` to ``(rows, channels out, 1, frames * stride)``."""
        stride, padding = (1, self._stride), (0, self._padding)
        if self._transposed:
            return F.conv_transpose2d(x, self._weight, self._bias, stride=stride, padding=padding)
        dilation = (1, self._dilation)
        return F.conv2d(x, self._weight, self._bias, stride=stride, padding=padding, dilation=dilation)


class Ends:
    """The ends of a signal's rows; everything after them is kept at zero, like padding.

    Args:
        lengths: Number of frames of each row.
        frames: Number of frames of the signal.
        device: Device of the signal.
    """

    def __init__(self, lengths: Sequence[int], frames: int, device: torch.device) -> None:
        self._lengths, self._frames, self._device = lengths, frames, device
        self._behind: Tensor | None = None
        if device.type != "cpu" and any(length < frames for length in lengths):
            ends = torch.tensor(lengths, device=device)[:, None]
            self._behind = (torch.arange(frames, device=device)[None] >= ends)[:, None, None]

    def cut(self, x: Tensor) -> Tensor:
        """Zero ``x`` after the rows' ends in place, and return it."""
        if self._behind is not None:
            return x.masked_fill_(self._behind, 0.0)
        if self._device.type == "cpu":  # zeroing few frames is faster there than a pass over all
            for row, length in zip(x, self._lengths, strict=True):
                if length < self._frames:
                    row[:, :, length:] = 0
        return x

    def raised(self, rate: int) -> "Ends":
        """Return the ends after upsampling by ``rate``."""
        return Ends([length * rate for length in self._lengths], self._frames * rate, self._device)


def batched(rows: Sequence[Tensor], dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Ends]:
    """Join rows ``(channels, frames)`` to one signal, padded with zeros; return it and the rows' ends."""
    lengths = [row.shape[1] for row in rows]
    frames = _filled_up(max(lengths))
    x = torch.zeros(len(rows), 1, frames, rows[0].shape[0], dtype=dtype, device=device)
    for number, row in enumerate(rows):
        x[number, 0, : row.shape[1]] = row.T
    return x.permute(0, 3, 1, 2), Ends(lengths, frames, device)


def _filled_up(frames: int) -> int:
    grain = next((grain for most, grain in GRAINS if frames <= most), _COARSEST)
    return -(-frames // grain) * grain


def constants(rows: Sequence[Tensor], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Join rows ``(channels,)`` to one signal of a single frame."""
    return torch.stack(list(rows)).to(device, dtype)[:, :, None, None]


def parted(x: Tensor, channels: int) -> list[Tensor]:
    """Split ``x`` into parts of ``channels`` channels."""
    return [x.narrow(1, first, channels) for first in range(0, x.shape[1], channels)]
