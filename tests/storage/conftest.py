"""An empty, migrated database of each kind."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from storage.database import Database
from storage.migrate import upgrade

from databases import KINDS, database_address
from workers import free_port


@pytest.fixture(params=KINDS)
async def address(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[str, None]:
    async with database_address(request.param, tmp_path) as address:
        yield address


@pytest.fixture
async def database(address: str) -> AsyncGenerator[Database, None]:
    async with Database(address) as database:
        await upgrade(database)
        yield database


@pytest.fixture
def unused_port() -> int:
    return free_port()
