"""Servers with voices for the tests of this folder."""

from collections.abc import Generator

import httpx
import pytest

from live import Server, start
from tenants import Tenants, settings, start_tenants
from voices import TONE


@pytest.fixture(scope="package")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Generator[Tenants, None, None]:
    """A server that asks for keys and for consents."""
    given = settings(
        quota={"plans": {"default": {}, "two": {"voices": 2}, "full": {"stored_bytes": 1}}},
        limits={"max_upload_bytes": 8 * 1024 * 1024, "max_samples_per_voice": 4},
    )
    given["engines"] = [TONE]
    running = start_tenants(tmp_path_factory.mktemp("voices"), given)
    yield running
    running.server.stop()


@pytest.fixture(scope="package")
def client(tenants: Tenants) -> Generator[httpx.Client, None, None]:
    """Asks as the first organisation."""
    with tenants.client(tenants.a) as client:
        yield client


@pytest.fixture(scope="package")
def other(tenants: Tenants) -> Generator[httpx.Client, None, None]:
    """Asks as the second organisation."""
    with tenants.client(tenants.b) as client:
        yield client


@pytest.fixture(scope="package")
def local(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server, None, None]:
    """A server for this machine's users, with the embedded engine too."""
    engines = [TONE, {"name": "ESPEAK", "type": "ESPEAK"}]
    running = start(tmp_path_factory.mktemp("local"), {"engines": engines})
    yield running
    running.stop()
