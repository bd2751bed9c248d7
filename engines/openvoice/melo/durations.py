"""Two predictors of the phones' durations: a deterministic one and a stochastic one.

The stochastic one is from VITS (Kim et al., "Conditional Variational Autoencoder with Adversarial Learning
for End-to-End Text-to-Speech", 2021): noise passes backwards through a flow of rational-quadratic splines
(Durkan et al., "Neural Spline Flows", 2019). Only the direction of synthesis is implemented.
"""

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.openvoice.melo.attention import ChannelNorm

FILTERS: Final = 256
"""Channels of the deterministic predictor; hard-coded in MeloTTS."""
KERNEL: Final = 3
FLOWS: Final = 4
BINS: Final = 10
BOUND: Final = 5.0
"""Absolute value beyond which the spline is the identity."""
_LEAST: Final = 1e-3
"""Minimum width, height and slope of a bin."""


class DurationPredictor(nn.Module):
    """Predicts log durations, deterministically."""

    def __init__(self, channels: int, speaker: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv1d(channels, FILTERS, KERNEL, padding=KERNEL // 2)
        self.norm_1 = ChannelNorm(FILTERS)
        self.conv_2 = nn.Conv1d(FILTERS, FILTERS, KERNEL, padding=KERNEL // 2)
        self.norm_2 = ChannelNorm(FILTERS)
        self.proj = nn.Conv1d(FILTERS, 1, 1)
        self.cond = nn.Conv1d(speaker, channels, 1)

    def forward(self, x: Tensor, speaker: Tensor) -> Tensor:
        """Map ``(1, channels, phones)`` to ``(1, 1, phones)``."""
        x = self.norm_1(self.conv_1(x + self.cond(speaker)).relu())
        x = self.norm_2(self.conv_2(x).relu())
        return self.proj(x)


class SeparableConvolutions(nn.Module):
    """Dilated depthwise-separable convolutions with residual connections."""

    def __init__(self, channels: int, layers: int = 3) -> None:
        super().__init__()
        self.convs_sep = nn.ModuleList(
            nn.Conv1d(channels, channels, KERNEL, groups=channels, dilation=dilation, padding=dilation)
            for dilation in (KERNEL**layer for layer in range(layers))
        )
        self.convs_1x1 = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in range(layers))
        self.norms_1 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))
        self.norms_2 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(1, channels, phones)`` to the same shape."""
        layers = zip(self.convs_sep, self.convs_1x1, self.norms_1, self.norms_2, strict=True)
        for separable, pointwise, norm_1, norm_2 in layers:
            y = functional.gelu(norm_1(separable(x)))
            x = x + functional.gelu(norm_2(pointwise(y)))
        return x


class SplineFlow(nn.Module):
    """Transforms one of two channels by a spline, whose parameters depend on the other one and the phones."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self._scale = math.sqrt(channels)
        self.pre = nn.Conv1d(1, channels, 1)
        self.convs = SeparableConvolutions(channels)
        self.proj = nn.Conv1d(channels, 3 * BINS - 1, 1)

    def forward(self, z: Tensor, phones: Tensor) -> Tensor:
        """Map ``(1, 2, phones)`` to the same shape."""
        kept, bent = z.chunk(2, dim=1)
        shape = self.proj(self.convs(self.pre(kept) + phones))[0].T  # (phones, 3 * BINS - 1)
        widths, heights, slopes = torch.split(shape, [BINS, BINS, BINS - 1], dim=1)
        bent = inverse_spline(bent[0, 0], widths / self._scale, heights / self._scale, slopes)
        return torch.cat([kept, bent[None, None]], dim=1)


class Affine(nn.Module):
    """Scales and shifts each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.m = nn.Parameter(torch.zeros(2, 1))
        self.logs = nn.Parameter(torch.zeros(2, 1))

    def forward(self, z: Tensor) -> Tensor:
        """Map ``(1, 2, phones)`` to the same shape."""
        return (z - self.m) * torch.exp(-self.logs)


class StochasticDurationPredictor(nn.Module):
    """Samples log durations from noise, with natural variation."""

    def __init__(self, channels: int, speaker: int) -> None:
        super().__init__()
        self.pre = nn.Conv1d(channels, channels, 1)
        self.convs = SeparableConvolutions(channels)
        self.proj = nn.Conv1d(channels, channels, 1)
        self.cond = nn.Conv1d(speaker, channels, 1)
        # Indexed as in the checkpoint: an affine layer, then splines, each followed by a flip, which has no
        # parameters. The first spline and its flip are only used in training.
        splines = [module for _ in range(FLOWS - 1) for module in (SplineFlow(channels), nn.Identity())]
        self.flows = nn.ModuleList([Affine(), nn.Identity(), nn.Identity(), *splines])

    def forward(self, x: Tensor, speaker: Tensor, noise: Tensor) -> Tensor:
        """Map noise, ``(1, 2, phones)``, to log durations, ``(1, 1, phones)``."""
        x = self.proj(self.convs(self.pre(x) + self.cond(speaker)))
        z = noise
        affine, _, _, *others = self.flows
        for spline in others[-2::-2]:
            z: Tensor = spline(z.flip(1), x)
        z = affine(z.flip(1))
        return z[:, :1]


def inverse_spline(y: Tensor, widths: Tensor, heights: Tensor, slopes: Tensor) -> Tensor:
    """Invert rational-quadratic splines; outside of ± :data:`BOUND` they are the identity.

    Args:
        y: Values of the splines, ``(n,)``.
        widths: Widths of the bins before the softmax, ``(n, BINS)``.
        heights: Heights of the bins before the softmax, ``(n, BINS)``.
        slopes: Slopes between the bins before the softplus, ``(n, BINS - 1)``; the slope at both ends is 1.

    Returns:
        Arguments of the splines, ``(n,)``.
    """
    outside = y.abs() > BOUND
    left, width = _bins(widths)
    bottom, height = _bins(heights)
    ones = slopes.new_ones(len(y), 1)
    slope = torch.cat([ones, _LEAST + functional.softplus(slopes), ones], dim=1)
    inside = torch.where(outside, 0.0, y)[:, None]
    index = ((inside >= bottom).sum(dim=1, keepdim=True) - 1).clamp(0, BINS - 1)
    x0, dx, y0, dy = (edges.gather(1, index) for edges in (left, width, bottom, height))
    s0, s1 = slope.gather(1, index), slope.gather(1, index + 1)
    mean = dy / dx
    above = inside - y0
    bend = above * (s0 + s1 - 2 * mean)
    a, b, c = bend + dy * (mean - s0), dy * s0 - bend, -mean * above
    root = 2 * c / (-b - (b * b - 4 * a * c).clamp(min=0).sqrt())
    return torch.where(outside, y, (root * dx + x0)[:, 0])


def _bins(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Compute lower edges and sizes of bins that fill ± :data:`BOUND`, each ``(n, BINS)``."""
    sizes = _LEAST + (1 - _LEAST * BINS) * raw.softmax(dim=1)
    edges = functional.pad(2 * BOUND * sizes.cumsum(dim=1) - BOUND, (1, 0), value=-BOUND)
    edges[:, -1] = BOUND
    return edges[:, :-1], edges.diff(dim=1)
