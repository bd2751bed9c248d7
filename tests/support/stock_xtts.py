"""coqui-tts' own XTTS, as the reference that ours is compared with."""

import threading
from pathlib import Path
from typing import Any

import torch

from engines.coqui import coqui

_patching = threading.Lock()


def load_stock(folder: Path) -> Any:
    """``Xtts`` of coqui-tts with the checkpoint in ``folder``, on the CPU, ready to speak.

    Its own loader reads the files. A checkpoint with a small vocoder is beyond its configuration, so
    what makes the vocoder is given the dimensions found in the weights.
    """
    xtts = coqui("tts.models.xtts")
    config = xtts.XttsConfig()
    config.load_json(str(folder / "config.json"))
    with _patching:
        usual = xtts.HifiDecoder
        xtts.HifiDecoder = _fitting(usual, folder)
        try:
            model = xtts.Xtts(config)
            model.load_checkpoint(config, checkpoint_dir=str(folder), eval=True)
        finally:
            xtts.HifiDecoder = usual
    return model


def _fitting(decoder: Any, folder: Path) -> Any:
    """A ``HifiDecoder`` with the channels of the checkpoint in ``folder``."""
    saved = torch.load(folder / "model.pth", weights_only=True, mmap=True)["model"]
    weights = {name.removeprefix("xtts."): tensor for name, tensor in saved.items()}
    channels = weights["hifigan_decoder.waveform_decoder.conv_pre.weight"].shape[0]
    speaker = "hifigan_decoder.speaker_encoder.layer"
    filters = [weights[f"{speaker}{number}.0.conv1.weight"].shape[0] for number in (1, 2, 3, 4)]
    blocks = [
        len({name.split(".")[3] for name in weights if name.startswith(f"{speaker}{number}.")})
        for number in (1, 2, 3, 4)
    ]

    def make(**options: Any) -> Any:
        hifi = decoder(upsample_initial_channel_decoder=channels, **options)
        hifi.speaker_encoder = coqui("encoder.models.resnet").ResNetSpeakerEncoder(
            input_dim=64,
            proj_dim=512,
            log_input=True,
            use_torch_spec=True,
            audio_config=hifi.speaker_encoder_audio_config,
            layers=blocks,
            num_filters=filters,
        )
        return hifi

    return make
