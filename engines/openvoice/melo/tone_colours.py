"""Tone colours of MeloTTS's speakers, which MyShell ships with OpenVoice V2 in ``base_speakers/ses``."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from engines.model_files import check_file, unreadable
from engines.openvoice.base import ToneColour

FOLDERS: Final = ("ses", "base_speakers/ses")
"""Possible folders, relative to the folder of the weights or its parent."""
_LARGEST: Final = 1 << 20
"""Maximum size of a file in bytes; a real one has 2 KB."""


def shipped_tone_colour(folder: Path, voice: str) -> ToneColour | None:
    """Read the tone colour in ``<voice>.pth``, shape ``(channels,)``; ``None`` without the file.

    Raises:
        EngineUnavailable: The file cannot be used; the message names it.
    """
    places = [place / name / f"{voice}.pth" for place in (folder, folder.parent) for name in FOLDERS]
    path = next((path for path in places if path.is_file()), None)
    if path is None:
        return None
    check_file(path)
    if path.stat().st_size > _LARGEST:
        raise unreadable(path, "it is too large to be a tone colour")
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise any exception
        raise unreadable(path, f"it is damaged, or not a tone colour ({type(error).__name__})") from error
    if not isinstance(found, torch.Tensor) or not found.is_floating_point():
        raise unreadable(path, "it is not a tone colour")
    colour: ToneColour = found.float().numpy().reshape(-1)
    if not colour.size or not np.isfinite(colour).all():
        raise unreadable(path, "it is not a tone colour")
    return colour
