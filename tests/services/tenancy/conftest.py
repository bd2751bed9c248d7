"""A server with tenants for the tests of this folder."""

from collections.abc import Generator

import pytest

from tenants import Tenants, start_tenants


@pytest.fixture(scope="package")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Generator[Tenants, None, None]:
    running = start_tenants(tmp_path_factory.mktemp("tenants"))
    yield running
    running.server.stop()
