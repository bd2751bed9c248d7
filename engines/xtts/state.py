"""The weights of an XTTS-v2 checkpoint, with names normalised to those of coqui-tts' modules."""

import re
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeGuard, cast

import torch
from torch import Tensor

from engines.model_files import unreadable
from engines.weights import read_weights

State: TypeAlias = dict[str, Tensor]

SHOWN: Final = 3
"""Maximum number of names in a message."""

_PREFIX: Final = "xtts."
"""Prefix of all names in checkpoints of Coqui's trainer."""
_BESIDES: Final = (
    "torch_mel_spectrogram_style_encoder.",  # for training
    "torch_mel_spectrogram_dvae.",
    "dvae.",
    "gpt.gpt_inference.",  # a copy of the weights, if inference had begun, as in XTTS version 1
    "gpt.gpt.wte.",
)
_MASK: Final = re.compile(r"gpt\.gpt\.h\.\d+\.attn\.(masked_)?bias")
"""Constants that old versions of transformers saved with the weights."""
_OLD_NORM: Final = (
    ("weight_g", "parametrizations.weight.original0"),
    ("weight_v", "parametrizations.weight.original1"),
)


def read_state(path: Path) -> State:
    """Read the weights in their saved dtype; they are memory-mapped if possible.

    Raises:
        EngineUnavailable: The file is invalid, or contains NaN or infinity; the message names it.
    """
    saved: Any = read_weights(path)
    named: Any = saved.get("model", saved)
    if not named or not _is_state(named):
        raise unreadable(path, "it has no weights under 'model'")
    state = {_plain(name): tensor for name, tensor in named.items()}
    state = {name: tensor for name, tensor in state.items() if not _beside(name)}
    broken = [name for name, tensor in state.items() if not _finite(tensor)]
    if broken:
        names = ", ".join(broken[:SHOWN])
        raise unreadable(path, f"{len(broken)} of its tensors are not finite numbers (first {names})")
    return state


def _is_state(saved: Any) -> TypeGuard[State]:  # noqa: ANN401 - what a file holds
    if not isinstance(saved, dict):
        return False
    named = cast("dict[Any, Any]", saved)
    return all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in named.items())


def _plain(name: str) -> str:
    name = name.removeprefix(_PREFIX)
    for old, new in _OLD_NORM:
        if name.endswith(f".{old}"):
            name = f"{name.removesuffix(old)}{new}"
    return name


def _beside(name: str) -> bool:
    return name.startswith(_BESIDES) or _MASK.fullmatch(name) is not None


def _finite(tensor: Tensor) -> bool:
    """Whether all values are finite, checked by their sum, which needs no memory."""
    return not tensor.dtype.is_floating_point or bool(torch.isfinite(tensor.sum(dtype=torch.float32)))
