"""``config.json`` of MyShell's tone colour converter, and the location of its files.

Names are MyShell's; keys for training are ignored.
"""

import hashlib
import math
from pathlib import Path
from typing import Final, Self

from pydantic import Field, model_validator

from engines.contract import EngineUnavailable
from engines.model_files import RETRY_SECONDS, check_file, unreadable
from engines.openvoice.base import SAMPLE_RATE
from engines.openvoice.vits import Section, Vits, read_section

CONFIGURATION: Final = "config.json"
WEIGHTS: Final = "checkpoint.pth"
FOLDER: Final = "converter"
"""Name of the converter's folder in MyShell's ``checkpoints_v2``."""

_SAMPLES: Final = 64
_SAMPLE: Final = 4_096


class Data(Section):
    """``data``: the input spectrograms."""

    sampling_rate: int
    filter_length: int = Field(ge=64, le=16_384)
    hop_length: int = Field(ge=16, le=4_096)
    win_length: int = Field(ge=16, le=16_384)
    n_speakers: int = 0

    @model_validator(mode="after")
    def _is_of_a_converter(self) -> Self:
        if self.n_speakers:
            raise ValueError("n_speakers is not 0: it is of a base speaker, not of the converter")
        if self.sampling_rate != SAMPLE_RATE:
            raise ValueError(f"sampling_rate is not {SAMPLE_RATE}")
        if not self.hop_length <= self.win_length <= self.filter_length:
            raise ValueError("hop_length, win_length and filter_length do not match")
        return self


class Model(Vits):
    """``model``: the network's dimensions, with MyShell's defaults."""

    zero_g: bool = False


class Configuration(Section):
    """The relevant parts of ``config.json``."""

    data: Data
    model: Model

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if math.prod(self.model.upsample_rates) != self.data.hop_length:
            raise ValueError("hop_length is not the product of upsample_rates")
        return self


def converter_folder(path: Path | None) -> Path:
    """Return the folder of the converter's files: ``path`` itself, or ``converter`` in it.

    Args:
        path: ``model_path`` of the engine's settings.

    Raises:
        EngineUnavailable: There is no such folder; the message says which files to put where.
    """
    if path is None:
        raise EngineUnavailable(
            "The engine's model_path is not set. Download MyShell's OpenVoice V2 (checkpoints_v2) and set it "
            f"to the folder {FOLDER} in it, which holds {CONFIGURATION} and {WEIGHTS}.",
            retry_after=RETRY_SECONDS,
        )
    inner = path / FOLDER
    folder = inner if inner.is_dir() and not (path / WEIGHTS).exists() else path
    if not folder.is_dir():
        raise EngineUnavailable(
            f"The folder {folder} does not exist. Put the folder {FOLDER} of MyShell's OpenVoice V2 "
            f"(checkpoints_v2) there, with its {CONFIGURATION} and {WEIGHTS}.",
            retry_after=RETRY_SECONDS,
        )
    return folder


def read_configuration(folder: Path) -> Configuration:
    """Read ``config.json``.

    Raises:
        EngineUnavailable: The file is missing or not that of a converter; the message names file and setting.
    """
    return read_section(folder / CONFIGURATION, Configuration)


def fingerprint(folder: Path) -> str:
    """Compute a fingerprint of the model, on which prepared voices depend: twelve hexadecimal digits.

    It hashes the configuration, and the size and samples of the weights, in milliseconds.

    Raises:
        EngineUnavailable: A file is missing; the message names it.
    """
    digest = hashlib.sha256(read_configuration(folder).model_dump_json().encode())
    path = folder / WEIGHTS
    check_file(path)
    try:
        size = path.stat().st_size
        digest.update(str(size).encode())
        with path.open("rb") as file:
            for number in range(_SAMPLES + 1):  # the last one is the archive's directory
                file.seek(max(0, (size - _SAMPLE) * number // _SAMPLES))
                digest.update(file.read(_SAMPLE))
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error
    return digest.hexdigest()[:12]
