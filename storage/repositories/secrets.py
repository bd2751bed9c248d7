"""Secrets that the server makes for itself."""

import secrets
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import ServerSecret

BYTES: Final = 48


async def make_secret(session: AsyncSession, name: str) -> None:
    """Make the secret of that name, unless there is one; all processes of a database have the same."""
    insert = insert_sqlite if session.get_bind().dialect.name == "sqlite" else insert_postgresql
    made = insert(ServerSecret).values(name=name, value=secrets.token_urlsafe(BYTES))
    await session.execute(made.on_conflict_do_nothing())


async def read_secret(session: AsyncSession, name: str) -> str:
    """The secret of that name, which has been made."""
    return (await session.scalars(select(ServerSecret.value).where(ServerSecret.name == name))).one()


async def rewrite_secret(session: AsyncSession, name: str) -> None:
    """Write a secret as it is: the smallest change that shows whether the database takes any."""
    await session.execute(
        update(ServerSecret).where(ServerSecret.name == name).values(value=ServerSecret.value)
    )
