"""Databases for tests: SQLite in a folder, and one of its own on a PostgreSQL server."""

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

POSTGRESQL = os.environ.get("AWAAZTWIN_TEST_DB_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
"""A server on which databases may be made and dropped."""

KINDS = ("sqlite", "postgresql")


@asynccontextmanager
async def database_address(kind: str, folder: Path) -> AsyncGenerator[str, None]:
    """The address of an empty database, gone afterwards."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'test.db'}"
        return
    name = f"awaaztwin_test_{uuid.uuid4().hex[:12]}"
    await _administer(f'CREATE DATABASE "{name}"', skip=True)
    try:
        url = make_url(POSTGRESQL).set(database=name, drivername="postgresql")
        yield url.render_as_string(hide_password=False)
    finally:
        await _administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def _administer(statement: str, *, skip: bool = False) -> None:
    url = make_url(POSTGRESQL).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT", connect_args={"timeout": 5})
    try:
        async with asyncio.timeout(30), engine.connect() as connection:
            await connection.execute(text(statement))
    except (OSError, DBAPIError) as error:
        if not skip:
            raise
        pytest.skip(f"no PostgreSQL at AWAAZTWIN_TEST_DB_URL ({url}): {error}")
    finally:
        await engine.dispose()
