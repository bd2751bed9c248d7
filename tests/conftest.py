"""Fixtures for all tests."""

from collections.abc import Generator
from pathlib import Path

import pytest

from live import ENGINES, Server, start
from weights import kokoro_folder, whisper_folder

__all__ = ["kokoro_folder", "whisper_folder"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server, None, None]:
    """One server for all tests that leave it as it was."""
    running = start(tmp_path_factory.mktemp("server"), {"engines": ENGINES})
    yield running
    running.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Generator[Server, None, None]:
    """A server that the test may break."""
    running = start(tmp_path, {"engines": ENGINES})
    yield running
    running.stop()
