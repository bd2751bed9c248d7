"""Readiness tells what cannot be written: a locked database, a full disk; and that it is over."""

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from services import probe as probe_module
from services.config import Settings
from services.gate import DatabaseGate
from services.probe import Probe
from storage import database as database_module
from storage.database import Database
from storage.errors import StorageUnavailable

from live import Server, eventually, start
from tenants import settings

TONE = [{"name": "TONE", "type": "SYNTHETIC"}]
SPEECH = {"input": "Hello.", "response_format": "pcm"}


def ready(server: Server) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(f"{server.url}/health/ready", timeout=60)
    return answer.status_code, answer.json()


def is_ready(server: Server) -> bool:
    return ready(server)[0] == 200


@contextmanager
def disk(folder: Path, megabytes: int) -> Generator[Path, None, None]:
    """A small disk, where this user may mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no `mount`")
    if mounted.returncode:
        pytest.skip(f"mounting needs rights: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all the room there is."""
    path = folder / "filling"
    with path.open("wb") as file:
        chunk = bytes(65_536)
        while chunk:
            try:
                os.write(file.fileno(), chunk)
            except OSError:
                chunk = chunk[: len(chunk) // 2]
    return path


def test_a_locked_writer(tmp_path: Path) -> None:
    server = start(tmp_path, settings(engines=TONE))
    try:
        assert is_ready(server)
        with closing(sqlite3.connect(tmp_path / "awaaztwin.db", isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            eventually(lambda: not is_ready(server))
            status, told = ready(server)
            assert (status, told["status"]) == (503, "unavailable")
            assert told["parts"]["database"]["reason"]
            assert told["parts"]["objects"]["ready"]
            holder.execute("ROLLBACK")
        eventually(lambda: is_ready(server))
    finally:
        server.stop()


@pytest.mark.parametrize("mode", ["required", "local"])
def test_a_full_disk(tmp_path: Path, mode: str) -> None:
    with disk(tmp_path / "disk", 200) as folder:
        storage = {"db_url": f"sqlite:///{folder}/a.db", "object_store": {"path": str(folder / "objects")}}
        given = settings(engines=TONE) if mode == "required" else {"engines": TONE}
        server = start(tmp_path, {**given, "storage": storage})
        try:
            assert ready(server)[1]["status"] == "ok"
            filling = fill(folder)
            eventually(lambda: ready(server)[1]["status"] != "ok")

            def both() -> bool:
                parts = ready(server)[1]["parts"]
                return not parts["database"]["ready"] and not parts["objects"]["ready"]

            eventually(both)
            status, told = ready(server)
            assert str(folder) in told["parts"]["database"]["reason"]
            assert "storage.db_url" in told["parts"]["database"]["reason"]
            assert str(folder / "objects") in told["parts"]["objects"]["reason"]
            assert "storage.object_store.path" in told["parts"]["objects"]["reason"]
            if mode == "required":
                assert (status, told["status"]) == (503, "unavailable")
            else:
                # It speaks on, and says what it cannot do.
                assert (status, told["status"]) == (200, "degraded")
                spoken = httpx.post(f"{server.api}/audio/speech", json=SPEECH, timeout=60)
                assert spoken.status_code == 200
                kept = httpx.post(f"{server.api}/audio/speech", json={**SPEECH, "store": True}, timeout=60)
                assert kept.status_code == 503
            filling.unlink()
            eventually(lambda: ready(server)[1]["status"] == "ok")
        finally:
            server.stop()


async def opened(database: Database) -> DatabaseGate:
    gate = DatabaseGate(database, Settings())
    await gate.try_write()
    return gate


async def test_sqlite_has_no_more_pages(tmp_path: Path) -> None:
    """SQLite's own error of a full database, as `PRAGMA max_page_count` brings it."""
    async with Database(f"sqlite:///{tmp_path}/a.db") as database:
        gate = await opened(database)

        def limit(connection: Any, _record: object, _proxy: object) -> None:
            connection.execute("PRAGMA max_page_count = 1").close()

        event.listen(database.engine.sync_engine, "checkout", limit)
        with pytest.raises(StorageUnavailable, match="full"):
            async with gate.write() as session:
                connection = await session.connection()
                await connection.exec_driver_sql("CREATE TABLE more (name TEXT)")


async def test_the_disk_of_sqlite_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own error, where the free space was not asked for."""
    monkeypatch.setattr(database_module, "MIN_FREE", 0)
    with disk(tmp_path / "disk", 2) as folder:
        async with Database(f"sqlite:///{folder}/a.db") as database:
            gate = await opened(database)
            fill(folder)
            with pytest.raises(StorageUnavailable, match=r"full|I/O"):
                async with gate.write() as session:
                    connection = await session.connection()
                    await connection.exec_driver_sql("CREATE TABLE more AS SELECT randomblob(1000000)")
            (folder / "filling").unlink()
            await gate.try_write()


async def test_many_ask_and_one_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    tries, broken = 0, False
    hanging = asyncio.Event()
    hanging.set()

    async def work() -> None:
        nonlocal tries
        tries += 1
        await hanging.wait()
        if broken:
            raise StorageUnavailable("database", "it is locked")

    probe = Probe(work)
    await asyncio.gather(*(probe.check() for _ in range(100)))
    await probe.check()
    assert tries == 1
    monkeypatch.setattr(probe_module, "FRESH_SECONDS", -1.0)
    probe, tries, broken = Probe(work), 0, True
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            await probe.check()
    assert tries == 2
    monkeypatch.setattr(probe_module, "WAIT_SECONDS", 0.01)
    hanging.clear()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await probe.check()
    assert tries == 3
    broken = False
    hanging.set()
    monkeypatch.setattr(probe_module, "WAIT_SECONDS", 60.0)
    await probe.check()
    await probe.aclose()
