"""Databases of all kinds for the tests of quotas."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from services.config import Settings
from services.gate import DatabaseGate
from storage.database import Database

from databases import KINDS, database_address


@pytest.fixture(params=KINDS)
async def gate(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[DatabaseGate, None]:
    async with database_address(request.param, tmp_path) as address, Database(address) as database:
        yield DatabaseGate(database, Settings())
