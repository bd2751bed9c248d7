"""A guard against slow work while a write transaction is open.

The transaction holds SQLite's only write lock, or PostgreSQL's row locks, so that all tenants would wait.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_WRITING: Final = ContextVar("writing", default=False)


class SlowInTransaction(RuntimeError):  # noqa: N818 - named for the state
    """A programming error: slow work in a write transaction.

    Args:
        work: Description of the work.
    """

    def __init__(self, work: str) -> None:
        super().__init__(f"{work} while a transaction that writes is open")


@contextmanager
def writing() -> Generator[None, None, None]:
    """Mark this task, and tasks it starts, as holding a write transaction."""
    mark = _WRITING.set(True)
    try:
        yield
    finally:
        _WRITING.reset(mark)


def refuse_while_writing(work: str) -> None:
    """Fail if a write transaction is open. Called at the start of slow work.

    Raises:
        SlowInTransaction: A write transaction is open.
    """
    if _WRITING.get():
        raise SlowInTransaction(work)
