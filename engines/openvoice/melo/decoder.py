"""HiFi-GAN's generator (Kong et al., 2020), conditioned on a speaker, with weight norms folded in."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.openvoice.melo.configuration import Model

SLOPE: Final = 0.1
"""Negative slope of the leaky ReLUs; the last one has torch's default, 0.01."""


class ResidualBlock(nn.Module):
    """Residual pairs of convolutions, one dilated and one not."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=d, padding=d * (kernel - 1) // 2)
            for d in dilations
        )
        self.convs2 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, padding=(kernel - 1) // 2) for _ in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(1, channels, time)`` to the same shape."""
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            y = dilated(functional.leaky_relu(x, SLOPE))
            x = x + plain(functional.leaky_relu(y, SLOPE))
        return x


class Decoder(nn.Module):
    """Decodes latent frames to a waveform."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        widths = [model.upsample_initial_channel >> stage for stage in range(len(model.upsample_rates) + 1)]
        self.conv_pre = nn.Conv1d(model.inter_channels, widths[0], 7, padding=3)
        self.cond = nn.Conv1d(model.gin_channels, widths[0], 1)
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(wide, narrow, kernel, rate, padding=(kernel - rate) // 2)
            for wide, narrow, kernel, rate in zip(
                widths[:-1], widths[1:], model.upsample_kernel_sizes, model.upsample_rates, strict=True
            )
        )
        self._branches = len(model.resblock_kernel_sizes)
        self.resblocks = nn.ModuleList(
            ResidualBlock(width, kernel, dilations)
            for width in widths[1:]
            for kernel, dilations in zip(
                model.resblock_kernel_sizes, model.resblock_dilation_sizes, strict=True
            )
        )
        self.conv_post = nn.Conv1d(widths[-1], 1, 7, padding=3, bias=False)

    def forward(self, z: Tensor, speaker: Tensor) -> Tensor:
        """Map ``(1, channels, frames)`` and the speaker, ``(1, channels, 1)``, to ``(samples,)`` in ±1."""
        x = self.conv_pre(z) + self.cond(speaker)
        for stage, up in enumerate(self.ups):
            x = up(functional.leaky_relu(x, SLOPE))
            first = stage * self._branches
            branches = list(self.resblocks)[first : first + self._branches]
            voiced: Tensor = branches[0](x)
            for branch in branches[1:]:
                voiced = voiced + branch(x)
            x = voiced / len(branches)
        return torch.tanh(self.conv_post(functional.leaky_relu(x)))[0, 0]
