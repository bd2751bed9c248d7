"""Transactions, and what an absent database looks like."""

import asyncio
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from storage.backup import backup
from storage.database import Database
from storage.errors import StorageUnavailable
from storage.repositories.orgs import OrgRepository

from databases import database_address


async def test_it_answers(database: Database):
    await database.ping()


async def test_what_raises_is_undone(database: Database):
    with pytest.raises(RuntimeError):
        async with database.write() as session:
            await OrgRepository(session).create("A", plan="default")
            raise RuntimeError
    async with database.read() as session:
        assert await OrgRepository(session).list() == []


async def test_many_writers_wait_for_each_other(database: Database):
    async def one(index: int) -> None:
        async with database.write() as session:
            orgs = OrgRepository(session)
            await orgs.list()
            await orgs.create(f"Org {index}", plan="default")

    await asyncio.gather(*(one(index) for index in range(30)))
    async with database.read() as session:
        assert len(await OrgRepository(session).list()) == 30


async def test_foreign_keys_are_kept(database: Database):
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        async with database.write() as session:
            await session.execute(text("INSERT INTO ledger (org_id, account, used) VALUES ('none', 'a', 1)"))


async def test_sqlite_keeps_a_write_ahead_log(tmp_path: Path):
    async with Database(f"sqlite:///{tmp_path}/deep/er/a.db") as database, database.read() as session:
        assert await session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert await session.scalar(text("PRAGMA foreign_keys")) == 1


async def test_a_server_that_is_away_is_told_and_holds_nobody_up(unused_port: int):
    address = f"postgresql://nobody:very-secret@127.0.0.1:{unused_port}/none"
    async with Database(address, timeout=1) as database:
        for _ in range(2):
            with pytest.raises(StorageUnavailable) as caught:
                await database.ping()
            assert caught.value.part == "database"
            assert "very-secret" not in str(caught.value)


async def test_a_file_that_is_no_database_is_told(tmp_path: Path):
    (tmp_path / "a.db").write_text("not a database " * 100)
    async with Database(f"sqlite:///{tmp_path}/a.db") as database:
        with pytest.raises(StorageUnavailable, match="not a database"):
            await database.ping()


async def test_a_database_that_is_not_there_is_told(tmp_path: Path):
    async with database_address("postgresql", tmp_path) as address:
        gone = make_url(address).set(database="awaaztwin_none").render_as_string(hide_password=False)
        async with Database(gone) as database:
            with pytest.raises(StorageUnavailable, match="awaaztwin_none"):
                await database.ping()


async def test_a_closed_database_is_told(tmp_path: Path):
    async with Database(f"sqlite:///{tmp_path}/a.db") as database:
        pass
    with pytest.raises(StorageUnavailable, match="closed"):
        await database.ping()


async def test_a_backup_is_whole_and_written_once(database: Database, address: str, tmp_path: Path):
    async with database.write() as session:
        await OrgRepository(session).create("Kept", plan="default")
    target = tmp_path / "backup"
    if not database.is_sqlite and shutil.which("pg_dump") is None:
        pytest.skip("pg_dump is not installed")
    await backup(address, target)
    if database.is_sqlite:
        async with Database(f"sqlite:///{target}") as copy, copy.read() as session:
            assert await OrgRepository(session).find("kept") is not None
    else:
        listed = subprocess.run(["pg_restore", "--list", target], capture_output=True, check=True, timeout=60)
        assert b"TABLE DATA public orgs" in listed.stdout
    with pytest.raises(FileExistsError):
        await backup(address, target)
    assert [path.name for path in tmp_path.glob("backup*")] == ["backup"]


async def test_a_backup_of_what_is_away_leaves_nothing(tmp_path: Path, unused_port: int):
    addresses = [f"sqlite:///{tmp_path}/none.db"]
    if shutil.which("pg_dump"):
        addresses.append(f"postgresql://nobody@127.0.0.1:{unused_port}/none")
    for address in addresses:
        with pytest.raises(StorageUnavailable):
            await backup(address, tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a script in place of pg_dump")
@pytest.mark.parametrize(
    ("script", "message"),
    [("exit 3", "status 3"), ("echo no room >&2; exit 1", "no room"), ("exec sleep 60", "longer than 0.2 s")],
)
async def test_a_dump_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str):
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("storage.backup.TIMEOUT_SECONDS", 0.2)
    with pytest.raises(StorageUnavailable, match=message):
        await backup("postgresql://nobody@127.0.0.1/none", tmp_path / "backup")
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


async def test_reading_sees_what_was_committed_meanwhile(database: Database):
    """The same on both: SQLite's reads are no transaction of their own."""
    async with database.read() as reading:
        before = await OrgRepository(reading).list()
        async with database.write() as writing:
            await OrgRepository(writing).create("A", plan="default")
        assert len(await OrgRepository(reading).list()) == len(before) + 1


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
async def test_reading_sqlite_takes_no_more_steps_than_needed(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each step of the driver goes to a thread and back, also one that has nothing to do."""
    async with Database(f"{scheme}:///{tmp_path}/a.db") as database:
        statements: list[str] = []
        async with database.read() as session:
            connection = await (await session.connection()).get_raw_connection()
            driver = connection.driver_connection
            assert driver is not None
            await driver.set_trace_callback(statements.append)

        async def end(name: str) -> None:
            statements.append(name)

        for name in ("commit", "rollback"):
            monkeypatch.setattr(driver, name, partial(end, name))
        for _ in range(3):
            async with database.read() as session:
                await session.scalar(text("SELECT 7"))
        assert statements == ["SELECT 7"] * 3
