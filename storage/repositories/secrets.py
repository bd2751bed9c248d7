"""Secrets that the server generates for itself."""

import secrets
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import ServerSecret

BYTES: Final = 48


async def make_secret(session: AsyncSession, name: str) -> None:
    """Create a secret unless it exists; all processes with this database share it."""
    insert = insert_sqlite if session.get_bind().dialect.name == "sqlite" else insert_postgresql
    made = insert(ServerSecret).values(name=name, value=secrets.token_urlsafe(BYTES))
    await session.execute(made.on_conflict_do_nothing())


async def read_secret(session: AsyncSession, name: str) -> str:
    """Return a secret, which must exist."""
    return (await session.scalars(select(ServerSecret.value).where(ServerSecret.name == name))).one()


async def rewrite_secret(session: AsyncSession, name: str) -> None:
    """Overwrite a secret with itself: a minimal write, to test whether the database accepts writes."""
    await session.execute(
        update(ServerSecret).where(ServerSecret.name == name).values(value=ServerSecret.value)
    )
