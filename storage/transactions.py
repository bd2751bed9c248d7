"""What must not happen while a transaction that writes is open.

On SQLite it holds the only write lock, on PostgreSQL the locks of its rows: whatever is slow in it, every
tenant waits for.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_WRITING: Final = ContextVar("writing", default=False)


class SlowInTransaction(RuntimeError):  # noqa: N818 - named for the state
    """A mistake of the program's: slow work in a transaction that writes.

    Args:
        work: What was to be done.
    """

    def __init__(self, work: str) -> None:
        super().__init__(f"{work} while a transaction that writes is open")


@contextmanager
def writing() -> Generator[None, None, None]:
    """Mark this task, and those it starts, as holding a transaction that writes."""
    mark = _WRITING.set(True)
    try:
        yield
    finally:
        _WRITING.reset(mark)


def refuse_while_writing(work: str) -> None:
    """Called by what is slow.

    Raises:
        SlowInTransaction: A transaction that writes is open.
    """
    if _WRITING.get():
        raise SlowInTransaction(work)
