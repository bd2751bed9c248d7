"""Backups of the database while it is in use."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from storage.database import database_url
from storage.errors import StorageUnavailable
from storage.private import private_opener

TIMEOUT_SECONDS: Final = 3_600.0
"""Maximum duration of ``pg_dump`` in seconds."""


async def backup(address: str, target: Path) -> None:
    """Copy the database to a file: SQLite's own format, or PostgreSQL's archive (``pg_restore`` reads it).

    It is written under another name and renamed when it is complete.

    Args:
        address: URL of the database.
        target: The file, which must not exist.

    Raises:
        FileExistsError: The file exists.
        StorageUnavailable: The database is unavailable, or ``pg_dump`` is not installed.
    """
    await asyncio.to_thread(_backup, database_url(address), target)


def _backup(url: URL, target: Path) -> None:
    if target.exists():
        raise FileExistsError(target)
    partial = target.with_name(target.name + ".partial")
    try:
        if url.get_backend_name() == "sqlite":
            _copy_sqlite(Path(url.database or ""), partial)
        else:
            _dump_postgresql(url, partial)
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)


def _begin(target: Path) -> None:
    """Create an empty file that only this user may access; fail if someone else has just created it."""
    target.unlink(missing_ok=True)
    open(target, "xb", opener=private_opener).close()


def _copy_sqlite(source: Path, target: Path) -> None:
    if not source.is_file():
        raise StorageUnavailable("database", f"the file {source} does not exist")
    _begin(target)
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as from_,
            closing(sqlite3.connect(target)) as to,
        ):
            # In portions of pages, so that writers can write in between.
            from_.backup(to, pages=1_000)
    except sqlite3.Error as error:
        raise StorageUnavailable("database", str(error)) from error


def _dump_postgresql(url: URL, target: Path) -> None:
    command = shutil.which("pg_dump")
    if command is None:
        raise StorageUnavailable("database", "`pg_dump` is not installed (Debian: postgresql-client)")
    _begin(target)
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    arguments = ["--format=custom", f"--file={target}", "--no-password"]
    where = {
        "--host": url.host,
        "--port": str(url.port) if url.port else None,
        "--username": url.username,
        "--dbname": url.database,
    }
    arguments += [f"{name}={value}" for name, value in where.items() if value]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and the address is the operator's own
            [command, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise StorageUnavailable("database", f"pg_dump took longer than {TIMEOUT_SECONDS:g} s") from error
    if done.returncode:
        said = done.stderr.strip() or f"pg_dump ended with status {done.returncode}"
        raise StorageUnavailable("database", said.splitlines()[-1][:300])
