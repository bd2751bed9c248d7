"""Removing a model, with the leftovers of its pulls."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from services.models.errors import ModelError, reason_of
from services.models.folder import ModelFolder, size_of
from services.models.lock import held
from services.models.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Removed:
    """Result of a removal.

    Attributes:
        freed: Freed disk space, in bytes.
        links: Removed symbolic links; their targets are unchanged.
        found: Whether there was anything to remove.
    """

    freed: int
    links: tuple[Path, ...]
    found: bool


def remove(manifest: Manifest, folder: ModelFolder) -> Removed:
    """Remove a model and the leftovers of its pulls.

    Raises:
        ModelError: The model is being pulled, or cannot be removed.
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
            # The operator made the link; its target may have other users.
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
