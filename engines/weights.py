"""Reading of weights in torch's format, without running code from the file."""

import re
import threading
import zipfile
from pathlib import Path
from typing import Any, Final, Self

import torch

from engines.model_files import HEAD, check_file, pretends, unreadable

_ZIP: Final = b"PK\x03\x04"
_PICKLE: Final = b"\x80"
_INERT: Final = (
    "TTS.tts.models.xtts.XttsArgs",
    "TTS.tts.models.xtts.XttsAudioConfig",
    "TTS.tts.configs.xtts_config.XttsArgs",
    "TTS.tts.configs.xtts_config.XttsAudioConfig",
    "TTS.tts.configs.xtts_config.XttsConfig",
    "TTS.config.shared_configs.BaseDatasetConfig",
)
"""Classes in the pickled configuration of old XTTS checkpoints."""
_INERT_PACKAGES: Final = ("TTS.", "trainer.", "coqpit.", "numpy.")
"""Packages of classes that trainers save in a checkpoint in addition to the weights."""
_INERT_FUNCTIONS: Final = frozenset({"_codecs.encode"})
"""Functions that numpy's pickled numbers refer to."""

_GLOBAL: Final = re.compile(r"GLOBAL ((?:\w+\.)*\w+) (?:was not an allowed|whose module)")
"""Pattern of torch's message about a pickle with a global that is not allowed."""
_LEGIBLE: Final = 200
"""Maximum number of characters of torch's message that are shown."""

_reading = threading.Lock()


class _Remains:
    """Replaces an object in a checkpoint that is not a weight: accepts any arguments and does nothing."""

    def __new__(cls, *_made_of: object) -> Self:
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        del state


def read_weights(path: Path) -> dict[str, Any]:
    """Read a file written by ``torch.save``: tensors on the CPU by name, or dictionaries of them.

    If the format allows it, tensors are memory-mapped: do not change the file while they are in use, or copy
    them. Objects that are neither tensors nor plain values are lost.

    Raises:
        EngineUnavailable: The file is missing, damaged, in another format, or would run code when read.
    """
    check_file(path)
    kind = _kind(path)
    if kind is not None:
        raise unreadable(path, f"it is {kind}")
    zipped = zipfile.is_zipfile(path)
    try:
        # Under a lock, because torch has one set of allowed globals per process.
        with _reading, torch.serialization.safe_globals([(_Remains, name) for name in _inert(path, zipped)]):
            saved: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # a damaged pickle can raise anything
        raise unreadable(path, _reason(error)) from error
    if not isinstance(saved, dict):
        raise unreadable(path, f"it contains a {type(saved).__name__} instead of weights by name")
    return saved  # pyright: ignore[reportUnknownVariableType] - a pickle has no types


def _kind(path: Path) -> str | None:
    """Return the format of a file that is not in torch's; ``None`` if it may be."""
    known = pretends(path)
    if known is not None:
        return known
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(_ZIP):
        return _kind_of_archive(path)
    if head.startswith(_PICKLE):
        return None
    if head[8:9] == b"{":
        return "a safetensors file under another name"
    return "a text" if all(byte >= ord("\t") for byte in head) else "not in torch's format, or damaged"


def _kind_of_archive(path: Path) -> str | None:
    if not zipfile.is_zipfile(path):
        return "truncated, as after an interrupted download"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("/constants.pkl") for name in names):
        return "a TorchScript program"
    return None if any(name.endswith("/data.pkl") for name in names) else "a ZIP archive of something else"


def _inert(path: Path, zipped: bool) -> list[str]:
    """Return the names of a checkpoint's globals that are read as :class:`_Remains`, without import."""
    if not zipped:
        return list(_INERT)
    named = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return [name for name in named if name.startswith(_INERT_PACKAGES) or name in _INERT_FUNCTIONS]


def _reason(error: Exception) -> str:
    """Return the reason why torch rejected a file, for the user."""
    code = _GLOBAL.search(str(error))
    if code is not None:
        return f"reading it would run code ({code[1]}), and weights need none"
    first = str(error).strip().partition("\n")[0].rstrip(".")
    legible = "".join(letter if letter.isprintable() else "?" for letter in first[:_LEGIBLE])
    return f"it is damaged ({type(error).__name__}: {legible})"
