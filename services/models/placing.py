"""Where engines find their models when their settings do not say it."""

from collections.abc import Iterator

from engines.config import EngineConfig
from services.config import Settings
from services.models.catalogue import Catalogue, catalogue
from services.models.folder import ModelFolder
from services.models.manifest import Manifest
from services.models.weights import Weights


def weights_of(engine: EngineConfig, models: Catalogue, folder: ModelFolder) -> Weights | None:
    """The model of the engine's type; None where there is none, or its settings name another folder."""
    manifest = models.of_engine(engine.type) if engine.model_path is None else None
    return None if manifest is None else Weights(manifest, folder.path(manifest))


def models_of_engines(settings: Settings) -> Iterator[tuple[EngineConfig, Manifest]]:
    """The engines of this host that take their type's model, in order, each with it.

    Raises:
        ModelError: A manifest is wrong.
    """
    models = catalogue(settings)
    for engine in settings.enabled_engines:
        if engine.url is None and engine.model_path is None:
            manifest = models.of_engine(engine.type)
            if manifest is not None:
                yield engine, manifest
