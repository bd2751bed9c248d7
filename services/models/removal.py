"""Removing a model, and what is left of pulling it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from services.models.errors import ModelError, reason_of
from services.models.folder import ModelFolder, size_of
from services.models.lock import held
from services.models.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed.

    Attributes:
        freed: Bytes.
        links: Symbolic links among it; what they lead to is as it was.
        found: Whether anything was there.
    """

    freed: int
    links: tuple[Path, ...]
    found: bool


def remove(manifest: Manifest, folder: ModelFolder) -> Removed:
    """Remove a model and what is left of a pull.

    Raises:
        ModelError: It is being pulled, or cannot be removed.
    """
    if not folder.root.exists():
        return Removed(0, (), found=False)
    try:
        with held(manifest, folder, None):
            return _remove([folder.path(manifest), folder.staging(manifest)])
    except OSError as error:
        raise ModelError(f"{manifest.name} cannot be removed: {reason_of(error)}.") from error


def _remove(places: list[Path]) -> Removed:
    freed, links, found = 0, list[Path](), False
    for place in places:
        if place.is_symlink():
            # The operator's own: what it leads to may be somebody else's too.
            place.unlink()
            links.append(place)
        elif place.is_dir():
            freed += size_of(place)
            shutil.rmtree(place)
        elif place.exists():
            freed += place.stat().st_size
            place.unlink()
        else:
            continue
        found = True
    return Removed(freed, tuple(links), found)
