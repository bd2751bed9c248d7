"""The available models: the package's own, and those that the operator has added."""

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from services.config import Settings
from services.models.errors import ModelError
from services.models.manifest import BESIDE, Manifest, read_manifest

SHIPPED: Final = Path(__file__).with_name("manifests")


class Catalogue:
    """The available models, by name.

    Args:
        manifests: Manifests of the models. Among manifests of the same name, and among the defaults of an
            engine, the last one takes precedence.
    """

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        self._manifests: dict[str, Manifest] = {}
        for manifest in manifests:
            # A replacement moves to its own position in the order.
            self._manifests.pop(manifest.name, None)
            self._manifests[manifest.name] = manifest

    def __iter__(self) -> Iterator[Manifest]:
        """Iterate over the manifests, sorted by name."""
        return iter(sorted(self._manifests.values(), key=lambda manifest: manifest.name))

    def find(self, name: str) -> Manifest:
        """Return the model with a name; case-insensitive.

        Raises:
            ModelError: There is no such model; the hint suggests similar names.
        """
        if (manifest := self._manifests.get(name.lower())) is not None:
            return manifest
        near = difflib.get_close_matches(name.lower(), self._manifests, n=3)
        hint = (
            f"Did you mean {', '.join(near)}?" if near else f"Models: {', '.join(sorted(self._manifests))}."
        )
        raise ModelError(f"There is no model '{name}'.", hint)

    def of_engine(self, engine: str) -> Manifest | None:
        """Return the default model of an engine type; ``None`` without one."""
        wanted = engine.upper()
        found = [m for m in self._manifests.values() if m.default and _engine(m) == wanted]
        return found[-1] if found else None


def catalogue(settings: Settings) -> Catalogue:
    """Read the package's manifests and the operator's, which override the package's of the same name.

    Raises:
        ModelError: A manifest is invalid, two manifests in one folder conflict, or the folder of manifests is
            missing or unreadable.
    """
    models = settings.models
    try:
        if models.manifests is not None and not models.manifests.is_dir():
            raise ModelError(
                f"The folder {models.manifests} does not exist.", "Create it, or correct models.manifests."
            )
    except OSError as error:
        raise ModelError(f"{models.manifests} cannot be read: {error.strerror}.") from error
    folders = [SHIPPED, models.folder / BESIDE, *([models.manifests] if models.manifests else [])]
    return Catalogue(manifest for folder in folders for manifest in _read(folder))


def _read(folder: Path) -> Iterable[Manifest]:
    """Read the manifests of a folder. Within a folder none takes precedence, so conflicts are errors."""
    found = {path: read_manifest(path) for path in sorted(folder.glob("*.yaml"))}
    names: dict[str, Path] = {}
    defaults: dict[str, Path] = {}
    for path, manifest in found.items():
        if (other := names.setdefault(manifest.name, path)) != path:
            raise ModelError(f"{other} and {path} are both called {manifest.name}.", "Rename one of them.")
        engine = _engine(manifest)
        if manifest.default and (other := defaults.setdefault(engine, path)) != path:
            raise ModelError(
                f"{other} and {path} are both the default of {engine}.", "Remove `default` from one of them."
            )
    return found.values()


def _engine(manifest: Manifest) -> str:
    return (manifest.engine or "").upper()
