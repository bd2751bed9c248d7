"""Makes base voices with random weights in MeloTTS's own file format.

What they speak is noise, but they are read and run as real ones are::

python scripts/random_melo.py tiny /tmp/melo
python scripts/random_melo.py full /tmp/melo
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import torch

from engines.openvoice.melo.configuration import CONFIG, MeloConfig
from engines.openvoice.melo.network import Synthesizer

Size: TypeAlias = Literal["tiny", "full"]

SPEAKERS: Final = {"EN-US": 0, "EN-BR": 1, "EN_INDIA": 2, "EN-AU": 3, "EN-Default": 4}
"""Those of MeloTTS-English."""

_PHONES: Final = (
    "aa ae ah ao aw ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw V w y z zh"
)
_OTHERS: Final = 168
"""Symbols of the other languages; MeloTTS lists 219 in all."""
_MARKS: Final = ("!", "?", "…", ",", ".", "'", "-", "¿", "¡", "SP", "UNK")

_MODEL: Final[dict[str, Any]] = {
    "use_spk_conditioned_encoder": True,
    "use_noise_scaled_mas": True,
    "use_mel_posterior_encoder": False,
    "use_duration_discriminator": True,
    "inter_channels": 192,
    "hidden_channels": 192,
    "filter_channels": 768,
    "n_heads": 2,
    "n_layers": 6,
    "n_layers_trans_flow": 3,
    "kernel_size": 3,
    "p_dropout": 0.1,
    "resblock": "1",
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
    "upsample_rates": [8, 8, 2, 2, 2],
    "upsample_initial_channel": 512,
    "upsample_kernel_sizes": [16, 16, 8, 2, 2],
    "n_layers_q": 3,
    "use_spectral_norm": False,
    "gin_channels": 256,
}
_TINY: Final[dict[str, Any]] = {
    "inter_channels": 8,
    "hidden_channels": 8,
    "filter_channels": 16,
    "n_layers": 3,
    "upsample_initial_channel": 32,
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3, 5]],
    "gin_channels": 8,
}
_POSTERIOR_LAYERS: Final = 16
"""Of the posterior encoder, and its kernel; MeloTTS writes them into its code."""
_POSTERIOR_KERNEL: Final = 5


def melo(folder: Path, *, size: Size = "tiny", seed: int = 0, speakers: Mapping[str, int] = SPEAKERS) -> Path:
    """Write ``config.json`` and ``checkpoint.pth`` of a MeloTTS with random weights; phones last about 90 ms.

    Args:
        folder: Made when it is not there.
        size: ``full`` has the published dimensions, 208 MB; ``tiny`` is for tests.
        seed: Of the weights.
        speakers: Names and numbers of its voices.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = settings(size, speakers)
    torch.manual_seed(seed)
    torch.save({"model": state(contents), "iteration": 0, "optimizer": None, "learning_rate": 3e-4},
               folder / "checkpoint.pth")  # fmt: skip
    (folder / CONFIG).write_text(json.dumps(contents, indent=2), encoding="utf-8")
    return folder


def state(contents: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Random weights under the names and in the shapes of MeloTTS's ``SynthesizerTrn``.

    Args:
        contents: Of ``config.json``.
    """
    config = MeloConfig.model_validate(contents)
    weights = {name: tensor.clone() for name, tensor in Synthesizer(config).state_dict().items()}
    for name in [name for name in weights if name.endswith("emb_g.weight")]:
        weights[name].normal_()
    for name in [name for name in weights if ".emb_rel_" in name]:
        weights[name].normal_(std=0.1)
    weights["dp.proj.bias"].fill_(1.3)  # e**1.3 is four frames a token, 43 ms, and every phone has a blank
    weights["enc_p.proj.bias"][config.model.inter_channels :].fill_(-1.0)
    weights |= {name: torch.randn(shape) * 0.05 for name, shape in _training(config, weights).items()}
    for name in [name for name in weights if _normed(name)]:
        weight = weights.pop(name)
        weights[name.removesuffix("weight") + "weight_g"] = (
            torch.rand(len(weight), *[1] * (weight.dim() - 1)) + 0.5
        )
        weights[name.removesuffix("weight") + "weight_v"] = weight
    return weights


def _normed(name: str) -> bool:
    """Whether MeloTTS splits a weight into norm and direction."""
    decoder = name.startswith(("dec.ups.", "dec.resblocks."))
    return name.endswith(".weight") and (decoder or name.startswith("enc_q.enc."))


def _training(config: MeloConfig, speaking: Mapping[str, torch.Tensor]) -> dict[str, Sequence[int]]:
    """Names and shapes of what only the training needs."""
    model = config.model
    hidden = model.hidden_channels
    shapes: dict[str, Sequence[int]] = {}

    def conv(name: str, out: int, into: int, kernel: int) -> None:
        shapes.update({f"{name}.weight": (out, into, kernel), f"{name}.bias": (out,)})

    layers, wide = _POSTERIOR_LAYERS, 2 * model.hidden_channels
    conv("enc_q.pre", model.hidden_channels, config.data.filter_length // 2 + 1, 1)
    conv("enc_q.proj", 2 * model.inter_channels, model.hidden_channels, 1)
    conv("enc_q.enc.cond_layer", wide * layers, model.gin_channels, 1)
    for layer in range(layers):
        conv(f"enc_q.enc.in_layers.{layer}", wide, model.hidden_channels, _POSTERIOR_KERNEL)
        last = layer == layers - 1
        conv(f"enc_q.enc.res_skip_layers.{layer}", wide // 2 if last else wide, model.hidden_channels, 1)
    conv("sdp.post_pre", hidden, 1, 1)
    conv("sdp.post_proj", hidden, hidden, 1)
    alike = {"sdp.convs.": ["sdp.post_convs."], "sdp.flows.0.": ["sdp.post_flows.0."]}
    alike["sdp.flows.3."] = ["sdp.flows.1.", *(f"sdp.post_flows.{flow}." for flow in (1, 3, 5, 7))]
    for prefix, others in alike.items():
        for name in [name for name in speaking if name.startswith(prefix)]:
            shapes |= {other + name.removeprefix(prefix): tuple(speaking[name].shape) for other in others}
    return shapes


def settings(size: Size, speakers: Mapping[str, int]) -> dict[str, Any]:
    """What goes into ``config.json``."""
    return {
        "train": {"segment_size": 16384, "learning_rate": 0.0003, "epochs": 10000},
        "data": {
            "max_wav_value": 32768.0,
            "sampling_rate": 44100,
            "filter_length": 2048 if size == "full" else 64,
            "hop_length": 512,
            "win_length": 2048,
            "add_blank": True,
            "n_speakers": 256 if size == "full" else max(speakers.values()) + 1,
            "cleaned_text": True,
            "spk2id": dict(speakers),
        },
        "model": _MODEL | (_TINY if size == "tiny" else {}),
        "num_languages": 8,
        "num_tones": 16,
        "symbols": ["_", *_PHONES.split(), *(f"x{number}" for number in range(_OTHERS)), *_MARKS],
    }


def main() -> None:
    """Write one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("size", choices=["tiny", "full"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(melo(chosen.folder, size=chosen.size, seed=chosen.seed))


if __name__ == "__main__":
    main()
