"""Loading of MyShell's tone colour converter into coqui-tts' network, which has the same layers."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from engines.coqui import coqui
from engines.model_files import unreadable
from engines.openvoice.configuration import WEIGHTS, Configuration, read_configuration
from engines.weights import read_weights

_NORMS: Final = (
    (".parametrizations.weight.original0", ".weight_g"),
    (".parametrizations.weight.original1", ".weight_v"),
)
"""Suffixes of a weight's norm and direction: torch's current ones, and MyShell's."""
_NAMED: Final = 3
"""Maximum number of names in a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A loaded converter, in float32 on the CPU.

    Attributes:
        network: coqui-tts' ``OpenVoice``, with weight norms folded in.
        configuration: Configuration of the network.
    """

    network: Any
    configuration: Configuration


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read ``config.json`` and ``checkpoint.pth``; takes 0.1 s once coqui-tts is imported.

    Raises:
        EngineUnavailable: A file is missing, damaged or not that of a converter; the message names it.
    """
    configuration = read_configuration(folder)
    path = folder / WEIGHTS
    state = _weights(path)
    with torch.device("meta"):  # avoids a useless initialisation
        network = _network(configuration)
    expected: dict[str, Tensor] = {_of_old(name): value for name, value in network.state_dict().items()}
    missing, unknown = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or unknown:
        lacks = f"it lacks {_listed(missing)}" if missing else f"it has the unknown {_listed(unknown)}"
        raise unreadable(path, f"it is not the converter that config.json describes: {lacks}")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            shapes = f"{tuple(tensor.shape)}, and config.json describes {tuple(expected[name].shape)}"
            raise unreadable(path, f"{name} is {shapes}")
        if not torch.isfinite(tensor).all():
            raise unreadable(path, f"{name} contains a value that is not a number")
    network.load_state_dict(state, assign=True)
    for module in network.modules():
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight")
    return Checkpoint(network=network.requires_grad_(False).eval(), configuration=configuration)  # noqa: FBT003 - torch's own


def _weights(path: Path) -> dict[str, Tensor]:
    """Read the weights by MyShell's names, in float32, copied from the file."""
    weights: Any = read_weights(path).get("model")
    if not isinstance(weights, dict):
        raise unreadable(path, "it has no `model`, as MyShell's checkpoints do")
    state: dict[str, Tensor] = {}
    for name, tensor in weights.items():  # pyright: ignore[reportUnknownVariableType] - a pickle has no types
        if not isinstance(name, str) or not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            raise unreadable(path, f"{name!r} is not a weight")
        state[_of_old(name)] = tensor.to(torch.float32, copy=True)
    return state


def _network(configuration: Configuration) -> Any:  # noqa: ANN401 - coqui-tts has no types
    data, model = configuration.data, configuration.model
    configs = coqui("vc.configs.openvoice_config")
    config = configs.OpenVoiceConfig(
        model_args=configs.OpenVoiceArgs(**model.model_dump()),
        audio=configs.OpenVoiceAudioConfig(
            input_sample_rate=data.sampling_rate,
            output_sample_rate=data.sampling_rate,
            fft_size=data.filter_length,
            hop_length=data.hop_length,
            win_length=data.win_length,
        ),
    )
    return coqui("vc.models.openvoice").OpenVoice(config)


def _of_old(name: str) -> str:
    for new, old in _NORMS:
        name = name.replace(new, old)
    return name


def _listed(names: Iterable[str]) -> str:
    first, *rest = (names := list(names))[:_NAMED]
    more = len(names) - _NAMED
    return ", ".join([first, *rest]) + (f" and {more} more" if more > 0 else "")
