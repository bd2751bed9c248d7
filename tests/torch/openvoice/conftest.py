from pathlib import Path

import pytest
import torch

from engines.openvoice.checkpoint import Checkpoint, load_checkpoint
from engines.openvoice.conversion import Converter

import random_openvoice


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Threads that wait for one another by spinning slow small models down where the cores are busy."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small converter with random weights. Tests do not change it."""
    return random_openvoice.openvoice(tmp_path_factory.mktemp("openvoice"))


@pytest.fixture(scope="session")
def checkpoint(folder: Path) -> Checkpoint:
    return load_checkpoint(folder)


@pytest.fixture(scope="session")
def converter(checkpoint: Checkpoint) -> Converter:
    return Converter(checkpoint)
