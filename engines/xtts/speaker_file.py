"""The contents of the file of :mod:`engines.xtts.speakers`, for a loaded model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.contract import UnsupportedUtterance
from engines.model_files import unreadable
from engines.weights import read_weights
from engines.xtts.checkpoint import Shape
from engines.xtts.conditioning import Conditioning
from engines.xtts.speakers import FILE, speakers


def load_speakers(folder: Path, shape: Shape) -> Mapping[str, Conditioning]:
    """Load the speakers, by name and alias.

    Raises:
        EngineUnavailable: The file is damaged, or for another model.
    """
    listed = speakers(folder)
    if not listed:
        return {}
    path = folder / FILE
    saved = read_weights(path)
    found: dict[str, Conditioning] = {}
    for voice in listed:
        try:
            tensors: dict[str, Any] = saved[voice.id]
            conditioning = Conditioning.from_tensors(
                {
                    "gpt_cond_latent": tensors["gpt_cond_latent"][0].float().numpy(),
                    "speaker_embedding": tensors["speaker_embedding"][0, :, 0].float().numpy(),
                },
                shape,
            )
        except (KeyError, TypeError, IndexError, AttributeError, UnsupportedUtterance) as error:
            raise unreadable(path, f"its speaker {voice.id!r} does not fit the model") from error
        found |= dict.fromkeys((voice.id, *voice.aliases), conditioning)
    return found
