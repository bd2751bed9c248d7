"""Migrations go up and down on both databases, with data in them, and end where the tables say."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from storage import migrate
from storage.columns import now
from storage.database import Database
from storage.errors import StorageUnavailable
from storage.repositories.audit import AuditRepository
from storage.repositories.keys import KeyRepository
from storage.repositories.orgs import OrgRepository
from storage.repositories.users import UserRepository
from storage.tables import Base


async def tables(database: Database) -> set[str]:
    async with database.engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def test_the_migrations_make_what_the_tables_say(database: Database):
    def differences(connection: Connection) -> Sequence[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, Base.metadata)

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    assert await migrate.current_revision(database) == migrate.head_revision()
    await migrate.check(database)


async def test_down_and_up_again_with_data(database: Database):
    async with database.write() as session:
        org = await OrgRepository(session).create("A", plan="default")
        await KeyRepository(session, org.id).create(name="k", prefix="p", secret_hash="h", scopes=[])
        await AuditRepository(session, org.id).add("org.created", actor="cli")
    assert await migrate.downgrade(database, "base") == migrate.head_revision()
    assert await tables(database) == {"alembic_version"}
    with pytest.raises(StorageUnavailable, match="awaaztwin db upgrade"):
        await migrate.check(database)
    assert await migrate.upgrade(database) is None
    assert set(Base.metadata.tables) <= await tables(database)
    async with database.read() as session:
        assert await OrgRepository(session).list() == []


async def test_addresses_are_made_alike_and_none_is_lost(database: Database):
    await migrate.downgrade(database, "0002")
    before = {"u1": "stra\u00dfe@x.example", "u2": "plain@x.example", "u3": "\uff41b@x.example"}
    # These two are one address now; which is meant cannot be known.
    before |= {"u4": "ab@y.example", "u5": "\uff41b@y.example"}
    insert = text(
        "INSERT INTO users (id, email, name, operator, created_at) VALUES (:id, :email, '', false, :at)"
    )
    async with database.write() as session:
        for user_id, email in before.items():
            await session.execute(insert, {"id": user_id, "email": email, "at": now()})
    await migrate.upgrade(database)
    async with database.read() as session:
        users = UserRepository(session)
        after = {user_id: user.email for user_id in before if (user := await users.get(user_id)) is not None}
    assert after == {**before, "u1": "strasse@x.example", "u3": "ab@x.example"}


async def test_several_processes_may_upgrade_at_once(address: str):
    async def one() -> None:
        async with Database(address) as database:
            await migrate.upgrade(database)

    await asyncio.gather(*(one() for _ in range(4)))
    async with Database(address) as database:
        await migrate.check(database)


async def test_a_newer_database_is_refused_and_left_alone(database: Database):
    async with database.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageUnavailable, match="newer version"):
        await migrate.upgrade(database)
    with pytest.raises(StorageUnavailable, match="9999"):
        await migrate.check(database)
    assert set(Base.metadata.tables) <= await tables(database)


async def test_a_migration_that_fails_changes_nothing(address: str):
    async with Database(address) as database:
        async with database.write() as session:
            await session.execute(text("CREATE TABLE server_secrets (name TEXT)"))
        with pytest.raises(Exception, match="server_secrets"):
            await migrate.upgrade(database)
        assert await tables(database) <= {"server_secrets"}


async def test_databases_of_one_process_are_migrated_at_once(tmp_path: Path) -> None:
    """Alembic's context is one for the process; databases in it, whichever loops they have, take turns."""

    async def migrated(number: int) -> str | None:
        async with Database(f"sqlite:///{tmp_path}/{number}.db") as database:
            await migrate.upgrade(database)
            return await migrate.current_revision(database)

    of_this_loop = asyncio.gather(*[migrated(number) for number in range(3)])
    of_others = asyncio.gather(*[asyncio.to_thread(asyncio.run, migrated(3 + number)) for number in range(3)])
    assert [*await of_this_loop, *await of_others] == [migrate.head_revision()] * 6
