"""The gated convolutions of VITS, of which its encoder and each step of its flow consist.

Method: Kim et al., "Conditional Variational Autoencoder with Adversarial Learning for End-to-End
Text-to-Speech" (2021), https://arxiv.org/abs/2106.06103.
"""

from typing import Any

import torch
from torch import Tensor

from engines.openvoice.convolution import Convolution, Ends, parted


class WaveNet:
    """A stack of gated convolutions with skip connections.

    Args:
        layers: coqui-tts' ``WN``, with weight norms folded in.
        dtype: Dtype of weights and signals.
        device: Device that they are on.
    """

    def __init__(self, layers: Any, dtype: torch.dtype, device: torch.device) -> None:  # noqa: ANN401 - coqui-tts has no types
        self._hidden: int = layers.hidden_channels
        self._condition = Convolution(layers.cond_layer, dtype, device)
        self._gates = [Convolution(layer, dtype, device) for layer in layers.in_layers]
        self._outputs = [Convolution(layer, dtype, device) for layer in layers.res_skip_layers]

    def __call__(self, x: Tensor, colour: Tensor, ends: Ends) -> Tensor:
        """Map ``(rows, hidden, 1, frames)`` to the same shape; tone colours are ``(rows, colours, 1, 1)``."""
        hidden = self._hidden
        conditions = parted(self._condition(colour), 2 * hidden)
        skipped: Tensor | None = None
        for gate, output, condition in zip(self._gates, self._outputs, conditions, strict=True):
            signal, strength = parted(gate(x) + condition, hidden)
            out = output(torch.tanh(signal) * torch.sigmoid(strength))
            if output is not self._outputs[-1]:
                more, out = parted(out, hidden)
                x = ends.cut(x + more)
            skipped = out if skipped is None else skipped + out
        return x if skipped is None else ends.cut(skipped)
