"""The transformer of VITS: self-attention with relative positions, then convolutions.

Shaw et al., "Self-Attention with Relative Position Representations" (2018): within a window, each distance
has a learned key and value. It processes one utterance at a time, and therefore needs no masks.
"""

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.openvoice.melo.configuration import CONDITIONED

WINDOW: Final = 4
"""Maximum distance, in positions to each side, with its own key and value."""


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of ``(1, channels, time)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each time step."""
        normed = functional.layer_norm(x.transpose(1, 2), self.gamma.shape, self.gamma, self.beta, 1e-5)
        return normed.transpose(1, 2)


class RelativeAttention(nn.Module):
    """Multi-head self-attention with learned keys and values for short distances, shared by the heads."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        width = channels // heads
        self.conv_q = nn.Conv1d(channels, channels, 1)
        self.conv_k = nn.Conv1d(channels, channels, 1)
        self.conv_v = nn.Conv1d(channels, channels, 1)
        self.conv_o = nn.Conv1d(channels, channels, 1)
        self.emb_rel_k = nn.Parameter(torch.zeros(1, 2 * WINDOW + 1, width))
        self.emb_rel_v = nn.Parameter(torch.zeros(1, 2 * WINDOW + 1, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(1, channels, time)`` to the same shape."""
        time = x.shape[2]
        query, key, value = (
            conv(x)[0].unflatten(0, (self._heads, -1)).transpose(1, 2)  # (heads, time, width)
            for conv in (self.conv_q, self.conv_k, self.conv_v)
        )
        query = query / math.sqrt(query.shape[2])
        scores = query @ key.transpose(1, 2)
        near = query @ self.emb_rel_k.transpose(1, 2)  # (heads, time, distances)
        distances = range(max(-WINDOW, 1 - time), min(WINDOW, time - 1) + 1)
        for distance in distances:
            column = near[:, max(0, -distance) : time - max(0, distance), distance + WINDOW]
            scores.diagonal(distance, 1, 2).add_(column)
        weights = scores.softmax(dim=2)
        near_weights = weights.new_zeros(self._heads, time, 2 * WINDOW + 1)
        for distance in distances:
            rows = slice(max(0, -distance), time - max(0, distance))
            near_weights[:, rows, distance + WINDOW] = weights.diagonal(distance, 1, 2)
        mixed = weights @ value + near_weights @ self.emb_rel_v
        return self.conv_o(mixed.transpose(1, 2).flatten(0, 1)[None])


class FeedForward(nn.Module):
    """Two convolutions with a ReLU between them, which preserve the length."""

    def __init__(self, channels: int, filters: int, kernel: int) -> None:
        super().__init__()
        self._pad = ((kernel - 1) // 2, kernel // 2)
        self.conv_1 = nn.Conv1d(channels, filters, kernel)
        self.conv_2 = nn.Conv1d(filters, channels, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(1, channels, time)`` to the same shape."""
        hidden = self.conv_1(functional.pad(x, self._pad)).relu()
        return self.conv_2(functional.pad(hidden, self._pad))


class Encoder(nn.Module):
    """Layers of attention and convolution, with normalisation after each.

    Args:
        channels: Channels of input and output.
        filters: Hidden channels of the convolutions.
        heads: Number of attention heads.
        layers: Number of layers; more than :data:`CONDITIONED` if there is a speaker.
        kernel: Kernel size of the convolutions.
        speaker: Channels of the speaker's embedding; 0 for none.
    """

    def __init__(
        self, channels: int, filters: int, heads: int, layers: int, kernel: int, *, speaker: int
    ) -> None:
        super().__init__()
        if speaker:
            self.spk_emb_linear = nn.Linear(speaker, channels)
        self._conditioned = CONDITIONED if speaker else layers
        self.attn_layers = nn.ModuleList(RelativeAttention(channels, heads) for _ in range(layers))
        self.norm_layers_1 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))
        self.ffn_layers = nn.ModuleList(FeedForward(channels, filters, kernel) for _ in range(layers))
        self.norm_layers_2 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))

    def forward(self, x: Tensor, speaker: Tensor) -> Tensor:
        """Map ``(1, channels, time)`` to the same shape, given the speaker, ``(1, speaker channels, 1)``."""
        layers = zip(self.attn_layers, self.norm_layers_1, self.ffn_layers, self.norm_layers_2, strict=True)
        for index, (attention, norm_1, feed_forward, norm_2) in enumerate(layers):
            if index == self._conditioned:
                x = x + self.spk_emb_linear(speaker.transpose(1, 2)).transpose(1, 2)
            x = norm_1(x + attention(x))
            x = norm_2(x + feed_forward(x))
        return x
