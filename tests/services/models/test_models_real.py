"""The package's own manifests, and the real packages, where they can be had."""

import pytest

from services.models.folder import ModelFolder
from services.models.manifest import Manifest

from weights import SHIPPED_MODELS, weights

MODELS = list(SHIPPED_MODELS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_required_file_has_a_source(model: Manifest) -> None:
    for file in model.files:
        assert any(source.members(file.path) for source in model.sources), file.path


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_restrictive_licence_has_a_notice(model: Manifest) -> None:
    assert (model.notice is not None) == (model.license not in {"Apache-2.0", "MIT"})


def test_an_engine_has_one_model_by_default() -> None:
    engines = [model.engine for model in MODELS if model.default]
    assert len(engines) == len(set(engines))
    model = SHIPPED_MODELS.of_engine("kokoro")
    assert model is not None
    assert model.name == "kokoro"
    assert SHIPPED_MODELS.of_engine("ESPEAK") is None


@pytest.mark.parametrize("name", ["kokoro", "whisper-base"])
def test_the_real_weights_are_as_the_manifest_says(name: str) -> None:
    folder = weights(name).parent
    assert not list(ModelFolder(folder).damaged(SHIPPED_MODELS.find(name)))
