"""The flow between the text encoder's distribution and the decoder's latents.

VITS2 (Kong et al., 2023): affine couplings, whose shift is computed by a transformer. Only the direction of
synthesis is implemented.
"""

from typing import Final

import torch
from torch import Tensor, nn

from engines.openvoice.melo.attention import Encoder
from engines.openvoice.melo.configuration import Model

KERNEL: Final = 5
"""Kernel size of the transformers' convolutions; hard-coded in MeloTTS."""


class Coupling(nn.Module):
    """Shifts one half of the channels by a transformer's output for the other half."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        half, hidden = model.inter_channels // 2, model.hidden_channels
        self.pre = nn.Conv1d(half, hidden, 1)
        self.enc = Encoder(
            hidden,
            model.filter_channels,
            model.n_heads,
            model.n_layers_trans_flow,
            KERNEL,
            speaker=model.gin_channels,
        )
        self.post = nn.Conv1d(hidden, half, 1)

    def forward(self, z: Tensor, speaker: Tensor) -> Tensor:
        """Map ``(1, channels, frames)`` to the same shape."""
        kept, shifted = z.chunk(2, dim=1)
        return torch.cat([kept, shifted - self.post(self.enc(self.pre(kept), speaker))], dim=1)


class Flow(nn.Module):
    """Couplings, each followed by a flip of the channels."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        # As in the checkpoint, where every other module is a flip, which has no parameters.
        couplings = [module for _ in range(model.n_flow_layer) for module in (Coupling(model), nn.Identity())]
        self.flows = nn.ModuleList(couplings)

    def forward(self, z: Tensor, speaker: Tensor) -> Tensor:
        """Map the text's side to the decoder's latents, both ``(1, channels, frames)``."""
        for coupling in list(self.flows)[-2::-2]:
            z = coupling(z.flip(1), speaker)
        return z
