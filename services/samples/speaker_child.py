"""The child process that embeds the speaker of a canonical wav; see :mod:`services.samples.examine`.

A separate process, since a model's library needs gigabytes of address space, which the child that parses
the uploaded file must not have. This process reads only the wav that the other child wrote.
"""

import json
import os
import sys
import wave
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from services.host.parent import end_with_parent
from services.samples.speaker import SpeakerModel, find_speaker_model

WINDOW_SECONDS: Final = 3.0
"""Length of a window that is embedded, in seconds."""
MOST: Final = 40
"""Maximum number of windows; in a longer recording they are spread evenly, with gaps."""
_PAIRS: Final = 3
"""Minimum number of windows for measuring their spread."""


def embed(model: SpeakerModel, pcm: npt.NDArray[np.float32], rate: int) -> dict[str, object]:
    """Compute the mean embedding and the windows' spread, as the fields of :class:`SpeakerEmbedding`."""
    size = round(WINDOW_SECONDS * rate)
    starts = np.linspace(0, max(0, pcm.size - size), min(MOST, max(1, pcm.size // size))).astype(int)
    rows = np.stack([model.embed(pcm[start : start + size], rate) for start in starts.tolist()])
    mean = rows.mean(0)
    mean /= max(float(np.linalg.norm(mean)), 1e-9)
    spread = None
    if len(rows) >= _PAIRS:
        pairs = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
        spread = round(1 - float(np.percentile(pairs, 10)), 4)
    values = [round(value, 6) for value in mean.tolist()]
    return {"model": model.name, "values": values, "spread": spread}


def main(source: str) -> None:
    """Embed the speaker of one wav and write the result as JSON."""
    end_with_parent()
    model = find_speaker_model()
    if model is None:
        os._exit(1)
    with wave.open(str(Path(source)), "rb") as file:
        rate = file.getframerate()
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32_768)
    sys.stdout.write(json.dumps(embed(model, pcm, rate)))
    sys.stdout.flush()
    os._exit(0)  # torch's shutdown is slow
