"""Which models there are: the package's own, and those that the operator has added."""

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from services.config import Settings
from services.models.errors import ModelError
from services.models.manifest import BESIDE, Manifest, read_manifest

SHIPPED: Final = Path(__file__).with_name("manifests")


class Catalogue:
    """The models there are, by name.

    Args:
        manifests: Of the same name, the last one counts.
    """

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        self._manifests = {manifest.name: manifest for manifest in manifests}

    def __iter__(self) -> Iterator[Manifest]:
        """By name."""
        return iter(sorted(self._manifests.values(), key=lambda manifest: manifest.name))

    def find(self, name: str) -> Manifest:
        """The model of that name, compared without case.

        Raises:
            ModelError: There is none; the message has the nearest names.
        """
        if (manifest := self._manifests.get(name.lower())) is not None:
            return manifest
        near = difflib.get_close_matches(name.lower(), self._manifests, n=3)
        hint = (
            f"Did you mean {', '.join(near)}?" if near else f"There is {', '.join(sorted(self._manifests))}."
        )
        raise ModelError(f"There is no model '{name}'.", hint)

    def of_engine(self, engine: str) -> Manifest | None:
        """The model that engines of a type speak with unless their settings name another."""
        wanted = engine.upper()
        found = (m for m in self if m.default and m.engine is not None and m.engine.upper() == wanted)
        return next(found, None)


def shipped() -> Catalogue:
    """The models of the package alone."""
    return Catalogue(_read(SHIPPED))


def catalogue(settings: Settings) -> Catalogue:
    """The models of the package and the operator's, who may replace one by another of the same name.

    Raises:
        ModelError: A manifest is wrong, or the folder of manifests is not there.
    """
    models = settings.models
    if models.manifests is not None and not models.manifests.is_dir():
        raise ModelError(
            f"The folder {models.manifests} is not there.", "Make it, or correct models.manifests."
        )
    folders = [SHIPPED, models.folder / BESIDE, *([models.manifests] if models.manifests else [])]
    return Catalogue(manifest for folder in folders for manifest in _read(folder))


def _read(folder: Path) -> Iterable[Manifest]:
    return [read_manifest(path) for path in sorted(folder.glob("*.yaml"))]
