"""The dialect for SQLite: what SQLAlchemy expects of a driver, in one call of it for each statement."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Database


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncGenerator[AsyncConnection, None]:
    async with Database(f"sqlite:///{tmp_path}/a.db") as database, database.engine.connect() as connection:
        await connection.execute(text("CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT UNIQUE)"))
        yield connection


async def test_many_rows_are_written_and_read(connection: AsyncConnection) -> None:
    rows = [{"id": number, "name": f"नाम {number}"} for number in range(1_000)]
    written = await connection.execute(text("INSERT INTO names VALUES (:id, :name)"), rows)
    assert written.rowcount == 1_000
    read = await connection.execute(text("SELECT id, name FROM names ORDER BY id"))
    assert list(read.keys()) == ["id", "name"]
    assert [dict(row) for row in read.mappings()] == rows


async def test_what_a_statement_returns(connection: AsyncConnection) -> None:
    one = {"name": "Asha"}
    insert = await connection.execute(text("INSERT INTO names (name) VALUES (:name) RETURNING id"), one)
    assert insert.scalar_one() == 1
    assert (await connection.execute(text("INSERT INTO names (name) VALUES ('Ravi')"))).lastrowid == 2
    assert (await connection.execute(text("UPDATE names SET name = name || '!'"))).rowcount == 2
    nothing = await connection.execute(text("SELECT * FROM names WHERE id > 2"))
    assert nothing.returns_rows
    assert nothing.all() == []
    assert not (await connection.execute(text("DELETE FROM names"))).returns_rows


async def test_errors_are_the_drivers_and_the_connection_goes_on(connection: AsyncConnection) -> None:
    await connection.execute(text("INSERT INTO names (name) VALUES ('Asha')"))
    with pytest.raises(IntegrityError, match="UNIQUE"):
        await connection.execute(text("INSERT INTO names (name) VALUES ('Asha')"))
    with pytest.raises(OperationalError, match="no such table"):
        await connection.execute(text("SELECT * FROM others"))
    assert (await connection.execute(text("SELECT count(*) FROM names"))).scalar_one() == 1


async def test_rows_are_streamed(connection: AsyncConnection) -> None:
    await connection.execute(
        text("INSERT INTO names VALUES (:id, :name)"), [{"id": n, "name": n} for n in range(9)]
    )
    async with connection.stream(text("SELECT id FROM names")) as rows:
        assert [row.id async for row in rows] == list(range(9))


async def test_a_statement_is_one_call_of_the_driver(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    assert driver is not None
    calls: list[object] = []
    put = driver._tx.put_nowait

    class Counted:
        def put_nowait(self, call: object) -> None:
            calls.append(call)
            put(call)

    monkeypatch.setattr(driver, "_tx", Counted())
    for count, statement in enumerate(
        ("SELECT 1", "INSERT INTO names VALUES (1, 'a')", "SELECT * FROM names"), 1
    ):
        await connection.execute(text(statement))
        assert len(calls) == count
    await connection.rollback()
    assert len(calls) == 3, "each was a transaction of its own"
    monkeypatch.undo()
