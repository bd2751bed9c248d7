"""Default models of engines whose settings do not set ``model_path``."""

from collections.abc import Iterator

from engines.config import EngineConfig
from services.config import Settings
from services.models.catalogue import Catalogue, catalogue
from services.models.folder import ModelFolder
from services.models.manifest import Manifest
from services.models.weights import Weights


def weights_of(engine: EngineConfig, models: Catalogue, folder: ModelFolder) -> Weights | None:
    """Return the default model of an engine; ``None`` without one, or if ``model_path`` is set."""
    manifest = models.of_engine(engine.type) if engine.model_path is None else None
    return None if manifest is None else Weights(manifest, folder.path(manifest))


def models_of_engines(settings: Settings) -> Iterator[tuple[EngineConfig, Manifest]]:
    """Yield this host's engines that use the default model of their type, in order, each with the model.

    Raises:
        ModelError: A manifest is invalid.
    """
    models = catalogue(settings)
    for engine in settings.enabled_engines:
        if engine.url is None and engine.model_path is None:
            manifest = models.of_engine(engine.type)
            if manifest is not None:
                yield engine, manifest
