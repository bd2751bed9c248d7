"""The files of an XTTS-v2 checkpoint: ``config.json``, ``model.pth``, ``vocab.json``, as Coqui ships them."""

import hashlib
from pathlib import Path
from typing import Final

from engines.contract import EngineUnavailable
from engines.model_files import RETRY_SECONDS, check_file
from engines.xtts.configuration import Configuration, read_configuration

WEIGHTS: Final = "model.pth"
VOCABULARY: Final = "vocab.json"

_BEST: Final = "best_model.pth"
"""The name that Coqui's trainer gives the weights."""
_BESIDES: Final = frozenset({"speakers_xtts.pth", "dvae.pth", "mel_stats.pth"})
"""Other files that Coqui ships, which are not the model."""
_SHOWN: Final = 3
"""Maximum number of names in a message."""
_SAMPLES: Final = 64
_SAMPLE: Final = 4_096
_END: Final = 262_144
"""Number of hashed bytes at the end of the weights: the archive's directory, with a checksum per tensor."""


def weights_file(folder: Path) -> Path:
    """Find the file of the weights: ``model.pth``, else ``best_model.pth``, else the only ``.pth`` file.

    Raises:
        EngineUnavailable: There is no such file, or the choice is ambiguous.
    """
    for name in (WEIGHTS, _BEST):
        if (folder / name).exists():
            return folder / name
    others = sorted(path.name for path in folder.glob("*.pth") if path.name not in _BESIDES)
    if len(others) == 1:
        return folder / others[0]
    found = f"; rename the right one of {', '.join(others[:_SHOWN])}" if others else ""
    raise EngineUnavailable(f"{folder / WEIGHTS} does not exist{found}.", retry_after=RETRY_SECONDS)


def vocabulary_file(folder: Path, configuration: Configuration) -> Path:
    """Find the tokenizer's file: ``vocab.json``, else the one that ``config.json`` names, there or elsewhere.

    Raises:
        EngineUnavailable: There is no such file.
    """
    named = configuration.model_args.tokenizer_file
    path = folder / VOCABULARY
    if not path.exists() and named:
        path = next((other for other in (folder / Path(named).name, folder / named) if other.is_file()), path)
    check_file(path)
    return path


def fingerprint(folder: Path) -> str:
    """Compute a fingerprint of the model, on which prepared voices depend: twelve hexadecimal digits.

    It hashes the vocabulary, the size and samples of the weights, and the settings that a voice depends on,
    in milliseconds and without loading the model.

    Raises:
        EngineUnavailable: A file is missing, or ``config.json`` is invalid; the message names it.
    """
    configuration = read_configuration(folder)
    digest = hashlib.sha256(configuration.of_voices().encode())
    digest.update(vocabulary_file(folder, configuration).read_bytes())
    path = weights_file(folder)
    size = path.stat().st_size
    digest.update(str(size).encode())
    with path.open("rb") as file:
        for number in range(_SAMPLES):
            file.seek(size * number // _SAMPLES)
            digest.update(file.read(_SAMPLE))
        file.seek(max(0, size - _END))
        digest.update(file.read(_END))
    return digest.hexdigest()[:12]
