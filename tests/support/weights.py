"""Real weights, pulled once for all tests and kept; without them a test is skipped, with the reason."""

import os
from pathlib import Path

import pytest

from services.models.catalogue import SHIPPED, Catalogue
from services.models.errors import ModelError
from services.models.folder import ModelFolder, ModelState
from services.models.manifest import read_manifest
from services.models.meter import Quiet
from services.models.pull import pull

CACHE = Path.home() / ".cache" / "awaaztwin" / "models"
VARIABLE = "AWAAZTWIN_MODELS"

SHIPPED_MODELS = Catalogue(read_manifest(path) for path in SHIPPED.glob("*.yaml"))
"""The models of the package alone."""

_failed: dict[str, str] = {}
"""Why a model could not be had: no test tries again what another has tried."""


def weights(name: str) -> Path:
    """The folder of a shipped model, which is pulled when it is not there; else the test is skipped."""
    manifest = SHIPPED_MODELS.find(name)
    folder = ModelFolder(Path(os.environ.get(VARIABLE) or CACHE))
    if folder.state(manifest) is ModelState.PRESENT:
        return folder.path(manifest)
    if name not in _failed:
        try:
            return pull(manifest, folder, Quiet()).folder
        except ModelError as error:
            _failed[name] = error.message
    pytest.skip(_failed[name])


@pytest.fixture(scope="session")
def kokoro_folder() -> Path:
    """The folder of KOKORO's weights."""
    return weights("kokoro")


@pytest.fixture(scope="session")
def whisper_folder() -> Path:
    """The folder of Whisper's weights, for `faster_whisper.WhisperModel`."""
    return weights("whisper-base")
