"""Checks of model files, with errors for missing and invalid ones.

Does not import torch, so that files can be checked without it.
"""

import json
from pathlib import Path
from typing import Any, Final

from engines.contract import EngineUnavailable

RETRY_SECONDS: Final = 60.0
"""Seconds after which a caller may retry: the operator has to change a file first."""

HEAD: Final = 512
"""Number of bytes at the start of a file that are examined to identify it."""

_MOST_BYTES: Final = 16_000_000
"""Maximum size of a JSON file in bytes; Coqui's has 5,000."""
_SIGNS: Final = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself; run `git lfs pull`"),
    (b"<!doctype html", "a web page, left by a failed download"),
    (b"<html", "a web page, left by a failed download"),
    (b"<?xml", "an XML document, left by a failed download"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"gguf", "a GGUF model"),
)


def check_file(path: Path) -> None:
    """Check that the file exists and is not empty.

    Raises:
        EngineUnavailable: The file is missing or empty; the message names it.
    """
    try:
        if not path.exists():
            raise EngineUnavailable(
                f"{path} does not exist. Put the model's {path.name} into {path.parent}.",
                retry_after=RETRY_SECONDS,
            )
        if not path.is_file():
            raise unreadable(path, "it is not a file")
        with path.open("rb") as file:
            if not file.read(1):
                raise unreadable(path, "it is empty")
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error


def unreadable(path: Path, reason: str) -> EngineUnavailable:
    """Return the error for an invalid model file."""
    message = f"{path} cannot be used: {reason}. Put the model's own {path.name} in its place."
    return EngineUnavailable(message, retry_after=RETRY_SECONDS)


def pretends(path: Path) -> str | None:
    """Return the real type of a file, such as a web page, if its first bytes identify it."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    plain = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((kind for sign, kind in _SIGNS if plain.startswith(sign)), None)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        EngineUnavailable: The file is missing or invalid; the message names it.
    """
    check_file(path)
    kind = pretends(path)
    if kind is not None:
        raise unreadable(path, f"it is {kind}")
    if path.stat().st_size > _MOST_BYTES:
        raise unreadable(path, f"it is larger than {_MOST_BYTES // 1_000_000} MB")
    try:
        contents: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise unreadable(path, f"it is not JSON ({error})") from error
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error
    if not isinstance(contents, dict):
        raise unreadable(path, "it is not a JSON object")
    return contents  # pyright: ignore[reportUnknownVariableType] - any object of JSON
