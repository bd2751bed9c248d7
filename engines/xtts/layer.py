"""A layer of the decoder: its norms, and its matrices packed for where it runs."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engines.xtts.linear import Linear, pack_linear
from engines.xtts.precision import Precision


@dataclass(frozen=True, slots=True)
class Norm:
    """A layer norm, float32.

    Attributes:
        weight: ``(width,)``.
        bias: ``(width,)``.
        eps: Added to the variance.
    """

    weight: Tensor
    bias: Tensor
    eps: float

    @classmethod
    def of(cls, module: Any, device: torch.device) -> "Norm":  # noqa: ANN401 - coqui's modules have no types
        """That of a ``LayerNorm``."""
        return cls(
            module.weight.detach().float().to(device), module.bias.detach().float().to(device), module.eps
        )

    def __call__(self, rows: Tensor) -> Tensor:
        """``rows`` ``(rows, width)``, normed."""
        return functional.layer_norm(rows, self.weight.shape, self.weight, self.bias, self.eps)


@dataclass(frozen=True, slots=True)
class Layer:
    """As GPT-2 has it: attention, then two products with a GELU between them, each onto the sums.

    Attributes:
        norm: Before the attention.
        qkv: ``width`` to queries, keys and values.
        output: Of the attention.
        mlp_norm: Before the two products.
        mlp_in: ``width`` to four times that.
        mlp_out: And back.
    """

    norm: Norm
    qkv: Linear
    output: Linear
    mlp_norm: Norm
    mlp_in: Linear
    mlp_out: Linear

    @classmethod
    def of(cls, block: Any, precision: Precision, device: torch.device) -> "Layer":  # noqa: ANN401 - as above
        """That of a ``GPT2Block``."""

        def linear(module: Any) -> Linear:  # noqa: ANN401 - as above
            # Hugging Face's Conv1D holds its matrix the other way round.
            return pack_linear(module.weight.t(), module.bias, precision, device)

        return cls(
            Norm.of(block.ln_1, device),
            linear(block.attn.c_attn),
            linear(block.attn.c_proj),
            Norm.of(block.ln_2, device),
            linear(block.mlp.c_fc),
            linear(block.mlp.c_proj),
        )

    def finish(self, rows: Tensor, attended: Tensor) -> Tensor:
        """What follows the attention.

        Args:
            rows: The sums, ``(rows, width)``.
            attended: ``(rows, width)``.
        """
        rows = rows + self.output(attended.float())
        return rows + self.mlp_out(functional.gelu(self.mlp_in(self.mlp_norm(rows)), approximate="tanh"))
