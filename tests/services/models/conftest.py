"""A folder for models, and sources on this machine that nothing leads away from."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.models.folder import ModelFolder

from model_sources import Hub, hub


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No index, registry, hub, cache or setting of the machine's own."""
    for name in os.environ:
        if name.startswith(("AWAAZTWIN_", "PIP_", "HF_", "npm_config_", "NPM_CONFIG_")):
            monkeypatch.delenv(name)
    links = tmp_path / "links"
    links.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_userconfig", str(tmp_path / "npmrc"))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setattr("services.models.sources.download.RETRY_SECONDS", 0.01)


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """The folder in which pip looks for wheels."""
    return tmp_path / "links"


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    return ModelFolder(tmp_path / "models")


@pytest.fixture
def hub_(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that is asked instead of the real one."""
    with hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running
