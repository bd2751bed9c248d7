"""Loading of a MeloTTS folder into a network."""

from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from engines.model_files import unreadable
from engines.openvoice.melo.configuration import MeloConfig
from engines.openvoice.melo.network import Synthesizer
from engines.weights import read_weights

WEIGHTS: Final = "checkpoint.pth"
_TRAINING: Final = (
    "enc_q.",
    "sdp.post_pre.",
    "sdp.post_proj.",
    "sdp.post_convs.",
    "sdp.post_flows.",
    "sdp.flows.1.",  # MeloTTS itself does not use it for synthesis
)
"""Prefixes of weights that only training needs; every published checkpoint has them."""
_DIRECTION, _NORM = ".weight_v", ".weight_g"
_NAMED: Final = 3
"""Maximum number of names in a message."""


def load_network(folder: Path, config: MeloConfig) -> Synthesizer:
    """Load the weights in ``folder`` into a network, in float32 on the CPU, copied from the file.

    Raises:
        EngineUnavailable: The file is missing, damaged, or does not match ``config``; the message names it.
    """
    path = folder / WEIGHTS
    with torch.device("meta"):  # avoids a useless initialisation
        network = Synthesizer(config)
    expected = network.state_dict()
    state = _speaking(path)
    missing, unknown = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or unknown:
        lacks = f"it lacks {_listed(missing)}" if missing else f"it has the unknown {_listed(unknown)}"
        raise unreadable(path, f"it is not the network that config.json describes: {lacks}")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise unreadable(
                path,
                f"{name} is {tuple(tensor.shape)}, and config.json describes {tuple(expected[name].shape)}",
            )
        if not torch.isfinite(tensor).all():
            raise unreadable(path, f"{name} contains a value that is not a number")
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(requires_grad=False).eval()


def _speaking(path: Path) -> dict[str, Tensor]:
    """Read the weights that synthesis needs, in float32, with weight norms folded in."""
    saved: Any = read_weights(path)
    weights: Any = saved.get("model")
    if not isinstance(weights, dict):
        raise unreadable(path, "it has no `model`, as MeloTTS's checkpoints do")
    state: dict[str, Tensor] = {}
    for name, tensor in weights.items():  # pyright: ignore[reportUnknownVariableType] - a pickle has no types
        if not isinstance(name, str) or not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            raise unreadable(path, f"{name!r} is not a weight")
        if not name.startswith(_TRAINING):
            state[name] = tensor.to(torch.float32, copy=True)
    for name in [name for name in state if name.endswith(_DIRECTION)]:
        layer = name.removesuffix(_DIRECTION)
        direction, norm = state.pop(name), state.pop(layer + _NORM, None)
        if norm is None or norm.shape != (len(direction), *[1] * (direction.dim() - 1)):
            raise unreadable(path, f"{layer}{_NORM} does not go with {name}")
        lengths = direction.square().flatten(1).sum(dim=1).sqrt().view_as(norm)
        state[f"{layer}.weight"] = direction * (norm / lengths)
    return state


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
