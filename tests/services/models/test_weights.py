"""What is said of weights that an engine waits for."""

from pathlib import Path

import pytest

from engines.config import EngineConfig
from services.models.folder import ModelFolder
from services.models.manifest import Manifest, ModelFile
from services.models.placing import weights_of
from services.models.weights import Weights

from weights import SHIPPED_MODELS

HASH = "0" * 64
MANIFEST = Manifest(
    name="mine",
    title="My tones",
    license="CC0-1.0",
    files=[
        ModelFile(path="model.onnx", size=10, sha256=HASH),
        ModelFile(path="voices/one.bin", size=5, sha256=HASH, optional=True),
    ],
)


def test_weights_that_were_never_fetched(tmp_path: Path) -> None:
    missing = Weights(MANIFEST, tmp_path / "mine").missing
    assert (
        missing == "The weights of My tones have not been fetched. `awaaztwin models pull mine` fetches them."
    )


def test_weights_that_are_being_copied_are_not_there(tmp_path: Path) -> None:
    weights = Weights(MANIFEST, tmp_path)
    assert "model.onnx is missing" in (weights.missing or "")
    (tmp_path / "model.onnx").write_bytes(bytes(4))
    assert "model.onnx has 4 bytes instead of 10" in (weights.missing or "")
    (tmp_path / "model.onnx").write_bytes(bytes(10))
    assert weights.missing is None


def test_a_link_that_leads_nowhere_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").symlink_to(tmp_path / "elsewhere")
    assert "model.onnx is missing" in (Weights(MANIFEST, tmp_path).missing or "")


def test_a_folder_that_cannot_be_read_is_said_and_raises_nothing(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 300)
    assert (Weights(MANIFEST, folder).missing or "").startswith(f"{folder} cannot be read: ")


@pytest.mark.parametrize(
    ("engine", "command"),
    [
        ("KOKORO", "`awaaztwin models pull kokoro`"),
        ("OPENVOICE_V2", "`awaaztwin models pull openvoice-v2`"),
        ("XTTS_HI", '`awaaztwin models pull xtts-v2 --accept-license "CPML"`'),
    ],
)
def test_every_engine_with_a_model_says_how_it_is_fetched(tmp_path: Path, engine: str, command: str) -> None:
    folder = ModelFolder(tmp_path)
    config = EngineConfig(name=engine, type=engine)
    weights = weights_of(config, SHIPPED_MODELS, folder)
    assert weights is not None
    assert command in (weights.missing or "")
    placed = weights.placed(config)
    assert placed.model_path == weights.folder
    assert weights_of(placed, SHIPPED_MODELS, folder) is None
