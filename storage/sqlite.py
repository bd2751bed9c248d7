"""A dialect for SQLite through aiosqlite that switches threads once per statement.

aiosqlite passes each call of the driver to the connection's thread and waits for the result. SQLAlchemy makes
four calls per statement: open a cursor, execute, fetch, close. The switches take longer than most statements.

It extends what SQLAlchemy and aiosqlite keep private; both are held to a minor version in ``pyproject.toml``.
"""

# The classes that it extends have only private attributes:
# ruff: noqa: SLF001
# pyright: reportPrivateUsage=false

import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    SQLiteDialect_aiosqlite,
)

DRIVER: Final = "sqlite+awaaztwin"
"""Name of the dialect in a database URL."""


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    """A cursor that executes a statement and fetches all of its rows in one call."""

    __slots__ = ()

    def __init__(self, adapt_connection: AsyncAdapt_aiosqlite_connection) -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection
        self._cursor: Any = _Unopened()
        self._soft_closed_memoized = {}
        self._rows = deque()

    async def _execute_async(self, operation: str, parameters: Any) -> "_Cursor":  # noqa: ANN401 - as in the base class
        return await self._run(lambda cursor: cursor.execute(operation, parameters or ()))

    async def _executemany_async(self, operation: str, seq_of_parameters: Any) -> "_Cursor":  # noqa: ANN401 - as in the base class
        return await self._run(lambda cursor: cursor.executemany(operation, seq_of_parameters))

    async def _run(self, execute: Callable[[sqlite3.Cursor], object]) -> "_Cursor":
        """Execute a statement and fetch its rows in the connection's thread."""

        def run(connection: sqlite3.Connection) -> tuple[sqlite3.Cursor, list[Any]]:
            cursor = connection.cursor()
            try:
                execute(cursor)
                return cursor, cursor.fetchall() if cursor.description else []
            finally:
                cursor.close()

        driver = self._connection
        async with self._adapt_connection._execute_mutex:
            self._cursor, rows = await driver._execute(run, driver._conn)
        self._rows = deque(rows)
        return self

    async def _async_soft_close(self) -> None:
        """Do nothing: the driver's cursor is closed already."""

    def close(self) -> None:
        """Discard the rows."""
        self._rows.clear()


class _Unopened:
    """Stands for the driver's cursor until a statement is executed."""

    description = None
    rowcount = -1
    lastrowid = None
    arraysize = 1


class _Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()

    _cursor_cls = _Cursor


class Dialect(SQLiteDialect_aiosqlite):
    """SQLite through aiosqlite: one call per statement, and none to end a transaction that never began."""

    supports_statement_cache = True

    def connect(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as in the base class
        """Open a connection."""
        connection: Any = super().connect(*arguments, **options)
        return _Connection(connection.dbapi, connection.driver_connection)

    def do_commit(self, dbapi_connection: Any) -> None:  # noqa: ANN401 - as in the base class
        """Commit the transaction, if there is one."""
        if dbapi_connection.driver_connection.in_transaction:
            super().do_commit(dbapi_connection)

    def do_rollback(self, dbapi_connection: Any) -> None:  # noqa: ANN401 - as in the base class
        """Roll the transaction back, if there is one."""
        if dbapi_connection.driver_connection.in_transaction:
            super().do_rollback(dbapi_connection)


registry.register(DRIVER.replace("+", "."), __name__, Dialect.__name__)
