"""Makes tone colour converters with random weights in the format that MyShell publishes OpenVoice V2 in.

What they speak is noise, but they are read, run and timed as the real one is::

    python scripts/random_openvoice.py tiny /tmp/tiny
    python scripts/random_openvoice.py full /tmp/full
"""

import argparse
import json
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import torch

from engines.coqui import coqui

Size: TypeAlias = Literal["tiny", "full"]

CONFIGURATION: Final[dict[str, Any]] = {
    "_version_": "v2",
    "data": {
        "sampling_rate": 22050,
        "filter_length": 1024,
        "hop_length": 256,
        "win_length": 1024,
        "n_speakers": 0,
    },
    "model": {
        "zero_g": True,
        "inter_channels": 192,
        "hidden_channels": 192,
        "filter_channels": 768,
        "n_heads": 2,
        "n_layers": 6,
        "kernel_size": 3,
        "p_dropout": 0.1,
        "resblock": "1",
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        "upsample_rates": [8, 8, 2, 2],
        "upsample_initial_channel": 512,
        "upsample_kernel_sizes": [16, 16, 4, 4],
        "gin_channels": 256,
    },
}
"""MyShell's ``config.json`` of the V2 converter."""

TINY: Final[dict[str, Any]] = {"inter_channels": 16, "hidden_channels": 16, "upsample_initial_channel": 32}
"""What differs in the tiny one; 4 MB, nearly all of it the encoder of tone colours."""

_OLD_NAMES: Final = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}
_LOUDNESS: Final = 0.3
"""Root mean square of what the decoder's last layer gives before it is limited, roughly."""


def openvoice(folder: Path, *, size: Size = "tiny", seed: int = 0) -> Path:
    """Write ``config.json`` and ``checkpoint.pth`` of a converter with random weights.

    Weights are spread so that tone colours differ and the sound depends on them and on the speech.

    Args:
        folder: Made when it is not there.
        size: ``full`` has the published dimensions, 131 MB.
        seed: Another one gives other weights.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    configuration = json.loads(json.dumps(CONFIGURATION))
    if size == "tiny":
        configuration["model"].update(TINY)
    (folder / "config.json").write_text(json.dumps(configuration, indent=2))
    torch.save(
        {
            "model": _weights(configuration, seed),
            "iteration": 0,
            "optimizer": None,
            "learning_rate": 1e-4,
        },
        folder / "checkpoint.pth",
    )
    return folder


_GAIN_UP: Final = 2.8
"""Of a layer that takes one sample to several, so that what comes out is as loud as what went in."""


def _weights(configuration: dict[str, Any], seed: int) -> dict[str, torch.Tensor]:
    configs: Any = coqui("vc.configs.openvoice_config")
    args = configs.OpenVoiceArgs(**configuration["model"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Any = coqui("vc.models.openvoice").OpenVoice(configs.OpenVoiceConfig(model_args=args))
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if name.startswith("flow") and "post" in name:
                    parameter.normal_(0, 0.5)  # zero to begin with: the flow would do nothing
                elif name.startswith("dec.") and name.endswith("original0"):
                    # The gain of a weight norm. As torch makes them, layers are quieter than their biases.
                    parameter.fill_(_GAIN_UP if ".ups." in name else 1.0)
                elif name == "dec.conv_post.weight":
                    parameter.mul_(_LOUDNESS / _loudness(network))
    state: dict[str, torch.Tensor] = network.state_dict()
    return {_old(name): tensor.clone() for name, tensor in state.items()}


def _loudness(network: Any) -> float:  # noqa: ANN401 - coqui-tts has no types
    """Root mean square of the sound of noise."""
    args = network.args
    z, g = torch.randn(1, args.inter_channels, 32), torch.zeros(1, args.gin_channels, 1)
    return float(network.dec(z, g=g).atanh().square().mean().sqrt().clamp(min=1e-6))


def _old(name: str) -> str:
    for new, old in _OLD_NAMES.items():
        name = name.replace(new, old)
    return name


def main() -> None:
    """Write the checkpoint that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("size", choices=["tiny", "full"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(openvoice(arguments.folder, size=arguments.size, seed=arguments.seed))


if __name__ == "__main__":
    main()
