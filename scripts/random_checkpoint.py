"""Makes checkpoints with random weights in the file formats that the models are published in.

What they speak is noise, but they are read, run and timed as real ones are::

    python scripts/random_checkpoint.py xtts-tiny /tmp/tiny
    python scripts/random_checkpoint.py xtts-full /tmp/full
"""

import argparse
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import torch

from engines.coqui import coqui

Size: TypeAlias = Literal["tiny", "full"]
Layout: TypeAlias = Literal["plain", "trainer", "v1", "weight_norm"]
"""How the names of the weights are written.

``plain`` as Coqui publishes XTTS-v2; ``trainer`` as its trainer saves, with a prefix, an optimizer and more
that training needs; ``v1`` with the transformer twice; ``weight_norm`` with torch's names of before 2.0.
"""
State: TypeAlias = dict[str, torch.Tensor]

LANGUAGES: Final = (
    "en", "es", "fr", "de", "it", "pt", "pl", "tr", "ru", "nl", "cs", "ar", "zh-cn", "hu", "ko", "ja", "hi",
)  # fmt: skip
"""What XTTS-v2 speaks."""

TINY_CHANNELS: Final = 32
"""Channels of the tiny vocoder's first layer; XTTS-v2 has 512."""

TINY_SPEAKER: Final = {"layers": [1, 1, 1, 1], "num_filters": [8, 16, 16, 16]}
"""Blocks and channels of the tiny speaker encoder; XTTS-v2 has 3, 4, 6, 3 and 32, 64, 128, 256."""

_SPECIAL: Final = ("[STOP]", "[UNK]", "[SPACE]")
_PAIRS: Final = (
    "th", "he", "in", "er", "an", "re", "on", "at", "en", "nd", "ou", "है", "ने", "का", "की", "के", "या", "रा",
)  # fmt: skip
_LETTERS: Final = "äöüßéèêëàâçñíìóòúùôîïœæãõåøąćęłńśźżğışčďěňřťůýžőű¿¡«»“”‘’…—–।॥"
_SCRIPTS: Final = ((0x0900, 0x0980), (0x0430, 0x0450), (0x0621, 0x064B))
"""Devanagari, Cyrillic, Arabic; the tokenizer turns Chinese, Japanese and Korean into Latin letters."""


@dataclass(frozen=True, slots=True)
class _Dimensions:
    layers: int
    width: int
    heads: int
    audio_tokens: int
    text_tokens: int | None
    """``None``: as many as the vocabulary needs."""
    spread: float
    """Standard deviation of embeddings of tokens."""
    places: float
    """Standard deviation of embeddings of positions; small, for speech that depends on its text."""
    gain: float
    """How far the transformer's matrices are from keeping the variance as it is."""
    ending: float
    """Bias of the token that ends a sentence; sentences of a few to hundreds of tokens come of it."""


_MATRIX: Final = 2
_HEAD: Final = 0.3
"""Standard deviation of the weights that tell the next token."""
_LOUDNESS: Final = 2.0
"""Of the vocoder's last layer: its waveform has an RMS of about 0.1."""

_DIMENSIONS: Final[dict[Size, _Dimensions]] = {
    "tiny": _Dimensions(
        layers=2,
        width=64,
        heads=2,
        audio_tokens=66,
        text_tokens=None,
        spread=0.5,
        places=0.2,
        gain=1.3,
        ending=2.5,
    ),
    "full": _Dimensions(
        layers=30,
        width=1024,
        heads=16,
        audio_tokens=1026,
        text_tokens=6681,
        spread=0.1,
        places=0.1,
        gain=1.0,
        ending=8.0,
    ),
}


def xtts(folder: Path, *, size: Size = "tiny", seed: int = 0, layout: Layout = "plain") -> Path:
    """Write ``config.json``, ``vocab.json`` and ``model.pth`` of an XTTS-v2 with random weights.

    Weights are spread so that the likeliest token is well ahead of the next and depends on text and voice.

    Args:
        folder: Made when it is not there.
        size: ``tiny`` is 4 MB with two layers; ``full`` has XTTS-v2's dimensions, 1.9 GB.
        seed: The same seed gives the same weights.
        layout: How the weights are named, see :data:`Layout`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dimensions = _DIMENSIONS[size]
    tokens = vocabulary(dimensions.text_tokens)
    (folder / "vocab.json").write_text(json.dumps(_tokenizer(tokens), ensure_ascii=False), encoding="utf-8")
    arguments = _arguments(dimensions, len(tokens))
    (folder / "config.json").write_text(json.dumps(_config(arguments), indent=4), encoding="utf-8")
    state = _weights(arguments, tokens, dimensions, size, torch.Generator().manual_seed(seed))
    torch.save(_laid_out(state, layout), folder / "model.pth")
    return folder


def vocabulary(size: int | None = None) -> dict[str, int]:
    """Tokens of the tokenizer, filled up to ``size``; ``[STOP]`` is 0 and ``[UNK]`` 1, as in XTTS-v2."""
    letters = [chr(code) for code in range(0x21, 0x7F) if chr(code) not in "[]" and not chr(code).isupper()]
    letters += _LETTERS
    letters += [chr(code) for start, end in _SCRIPTS for code in range(start, end)]
    tokens = [*_SPECIAL, *letters, *_PAIRS, *_closing()]
    unique = list(dict.fromkeys(tokens))
    unique += [f"<{number}>" for number in range(len(unique), size or 0)]
    return {token: number for number, token in enumerate(unique)}


def _closing() -> list[str]:
    return ["[START]", *(f"[{language}]" for language in LANGUAGES)]


def _tokenizer(tokens: dict[str, int]) -> dict[str, Any]:
    """A byte-pair tokenizer in the format of Hugging Face's ``tokenizers``."""
    added = [
        {"id": tokens[token], "content": token, "special": True, "single_word": False, "lstrip": False}
        | {"rstrip": False, "normalized": False}
        for token in (*_SPECIAL, *_closing())
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "[UNK]",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "vocab": tokens,
            "merges": [f"{first} {second}" for first, second in _PAIRS],
        },
    }


def _arguments(dimensions: _Dimensions, text_tokens: int) -> dict[str, Any]:
    """``model_args`` as Coqui ships them; which tokens start and end a text, the vocabulary tells."""
    return {
        "gpt_batch_size": 1,
        "enable_redaction": False,
        "kv_cache": True,
        "gpt_checkpoint": None,
        "clvp_checkpoint": None,
        "decoder_checkpoint": None,
        "num_chars": 255,
        "tokenizer_file": "",
        "gpt_max_audio_tokens": 605,
        "gpt_max_text_tokens": 402,
        "gpt_max_prompt_tokens": 70,
        "gpt_layers": dimensions.layers,
        "gpt_n_model_channels": dimensions.width,
        "gpt_n_heads": dimensions.heads,
        "gpt_number_text_tokens": text_tokens,
        "gpt_start_text_token": None,
        "gpt_stop_text_token": None,
        "gpt_num_audio_tokens": dimensions.audio_tokens,
        "gpt_start_audio_token": dimensions.audio_tokens - 2,
        "gpt_stop_audio_token": dimensions.audio_tokens - 1,
        "gpt_code_stride_len": 1024,
        "gpt_use_masking_gt_prompt_approach": True,
        "gpt_use_perceiver_resampler": True,
        "input_sample_rate": 22050,
        "output_sample_rate": 24000,
        "output_hop_length": 256,
        "decoder_input_dim": dimensions.width,
        "d_vector_dim": 512,
        "cond_d_vector_in_each_upsampling_layer": True,
        "duration_const": 102400,
    }


def _config(arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "output_path": "output",
        "run_name": "run",
        "model": "xtts",
        "audio": {"sample_rate": 22050, "output_sample_rate": 24000},
        "model_args": arguments,
        "model_dir": None,
        "languages": list(LANGUAGES),
        "temperature": 0.75,
        "length_penalty": 1.0,
        "repetition_penalty": 5.0,
        "top_k": 50,
        "top_p": 0.85,
        "num_gpt_outputs": 1,
        "gpt_cond_len": 30,
        "gpt_cond_chunk_len": 4,
        "max_ref_len": 30,
        "sound_norm_refs": False,
    }


def _weights(
    arguments: dict[str, Any],
    tokens: dict[str, int],
    dimensions: _Dimensions,
    size: Size,
    generator: torch.Generator,
) -> State:
    """Everything that the model keeps, by the names of Coqui's own classes."""
    layers: Any = coqui("tts.layers.xtts.gpt")
    with torch.device("meta"):  # only names and shapes are wanted
        gpt = layers.GPT(
            layers=arguments["gpt_layers"],
            model_dim=arguments["gpt_n_model_channels"],
            start_text_token=tokens["[START]"],
            stop_text_token=tokens["[STOP]"],
            heads=arguments["gpt_n_heads"],
            max_text_tokens=arguments["gpt_max_text_tokens"],
            max_mel_tokens=arguments["gpt_max_audio_tokens"],
            max_prompt_tokens=arguments["gpt_max_prompt_tokens"],
            number_text_tokens=arguments["gpt_number_text_tokens"],
            num_audio_tokens=arguments["gpt_num_audio_tokens"],
            start_audio_token=arguments["gpt_start_audio_token"],
            stop_audio_token=arguments["gpt_stop_audio_token"],
            use_perceiver_resampler=True,
            code_stride_len=arguments["gpt_code_stride_len"],
        )
    hifi = _hifi(arguments, size)
    state: State = {"mel_stats": 0.5 + torch.rand(80, generator=generator)}
    for name, tensor in gpt.state_dict().items():
        state[f"gpt.{name}"] = _of_transformer(name, tensor, dimensions, generator)
    state["gpt.mel_head.bias"][arguments["gpt_stop_audio_token"]] = dimensions.ending
    for name, tensor in hifi.state_dict().items():
        keep = name.startswith("speaker_encoder.torch_spec")  # filters, not weights
        state[f"hifigan_decoder.{name}"] = tensor if keep else _random(name, tensor, generator)
    state["hifigan_decoder.waveform_decoder.conv_post.weight"] *= _LOUDNESS
    return state


def _hifi(arguments: dict[str, Any], size: Size) -> Any:  # noqa: ANN401 - an untyped library's module
    """Coqui's ``HifiDecoder``, as it is or with few channels."""
    decoders: Any = coqui("tts.layers.xtts.hifigan_decoder")
    options = {} if size == "full" else {"upsample_initial_channel_decoder": TINY_CHANNELS}
    hifi = decoders.HifiDecoder(
        decoder_input_dim=arguments["decoder_input_dim"], d_vector_dim=arguments["d_vector_dim"], **options
    )
    if size == "tiny":
        hifi.speaker_encoder = decoders.ResNetSpeakerEncoder(
            input_dim=64,
            proj_dim=arguments["d_vector_dim"],
            log_input=True,
            use_torch_spec=True,
            audio_config=hifi.speaker_encoder_audio_config,
            **TINY_SPEAKER,
        )
    return hifi


def _of_transformer(
    name: str, like: torch.Tensor, dimensions: _Dimensions, generator: torch.Generator
) -> torch.Tensor:
    """Values for a tensor of ``GPT``."""
    if "embedding" in name:
        deviation = dimensions.places if "pos" in name else dimensions.spread
    elif name == "mel_head.weight":
        deviation = _HEAD
    elif name.startswith("gpt.h.") and like.ndim == _MATRIX:  # stored with the inputs first
        deviation = dimensions.gain / math.sqrt(like.shape[0])
    else:
        return _random(name, like, generator)
    return deviation * torch.randn(like.shape, generator=generator)


def _random(name: str, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Values for a tensor, by what its name says it is."""
    if not like.dtype.is_floating_point:
        return torch.zeros(like.shape, dtype=like.dtype)
    if name.endswith("original0") or (like.ndim == 1 and name.endswith(("weight", "running_var", "gamma"))):
        return torch.ones(like.shape)
    if like.ndim <= 1:
        return torch.zeros(like.shape)
    inputs = math.prod(like.shape[1:])
    return torch.randn(like.shape, generator=generator) / math.sqrt(inputs)


def _laid_out(state: State, layout: Layout) -> dict[str, Any]:
    """The file's contents."""
    if layout == "trainer":
        extra: State = {
            "torch_mel_spectrogram_dvae.mel_norms": torch.ones(80),
            "dvae.codebook": torch.ones(2, 2),
        }
        extra["torch_mel_spectrogram_style_encoder.mel_norms"] = torch.ones(80)
        model = {f"xtts.{name}": tensor for name, tensor in state.items()} | extra
        return {
            "config": {},
            "model": model,
            "optimizer": {"state": {}},
            "scaler": None,
            "step": 7,
            "epoch": 1,
        }
    if layout == "v1":
        twice = {
            f"gpt.gpt_inference.transformer.{name}": state[f"gpt.gpt.{name}"]
            for name in _after(state, "gpt.gpt.")
        }
        return {"model": state | twice | {"gpt.gpt.wte.weight": state["gpt.mel_embedding.weight"]}}
    if layout == "weight_norm":
        return {
            "model": {
                name.replace("parametrizations.weight.original0", "weight_g").replace(
                    "parametrizations.weight.original1", "weight_v"
                ): tensor
                for name, tensor in state.items()
            }
        }
    return {"model": state}


def _after(names: Iterable[str], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def main() -> None:
    """Make what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=["xtts-tiny", "xtts-full"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    size: Size = "full" if options.kind == "xtts-full" else "tiny"
    folder = xtts(options.folder, size=size, seed=options.seed)
    for file in sorted(folder.iterdir()):
        print(f"{file} {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
