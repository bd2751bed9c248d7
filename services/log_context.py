"""The request that the running task works for, which each of its log lines names.

The Gateway passes the request's ID to its runners in a header, so that their lines name it, too.
"""

import logging
import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import Final

REQUEST_ID: Final = "x-request-id"
"""Header with a request's ID, from and to clients, and from the Gateway to its runners."""

MAX_VALUE_CHARS: Final = 100
"""Maximum length of an ID or a name in a line, in characters."""

_FIELDS: Final = "request_fields"
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,100}")


@dataclass(slots=True, eq=False)
class LogContext:
    """The known fields of a request. Its tasks share one object, so that each sees what others have noted.

    Attributes:
        request_id: ID of the request.
        org: ID of the caller's organisation.
        engine: Name of the engine that speaks.
    """

    request_id: str | None = None
    org: str | None = None
    engine: str | None = None


_CURRENT: Final[ContextVar[LogContext | None]] = ContextVar("log_context", default=None)


def request_id_in(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Return the ID in an ASGI request's headers; ``None`` if it is missing or not a single word."""
    given = dict(headers).get(REQUEST_ID.encode(), b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else None


@contextmanager
def logged_as(context: LogContext) -> Generator[None, None, None]:
    """Assign the lines logged in the block, and by the tasks and threads it starts, to a request."""
    token = _CURRENT.set(context)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def note(*, org: str | None = None, engine: str | None = None) -> None:
    """Add known fields of the running request; does nothing outside a request."""
    context = _CURRENT.get()
    if context is not None:
        context.org = org or context.org
        context.engine = engine or context.engine


def handed_on() -> dict[str, str]:
    """Return the headers that pass the running request's ID on to a runner."""
    context = _CURRENT.get()
    return {} if context is None or context.request_id is None else {REQUEST_ID: context.request_id}


def of_no_request() -> Context:
    """Copy the running task's context without its request, for work that one request starts for many."""
    context = copy_context()
    context.run(_CURRENT.set, None)
    return context


def known_of(record: logging.LogRecord) -> dict[str, str]:
    """Return the known fields that :class:`RequestFields` added to a record."""
    return vars(record).get(_FIELDS, {})


class RequestFields(logging.Filter):
    """Adds the known fields of the running request to each record of a handler; drops no records."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields."""
        if (context := _CURRENT.get()) is not None:
            fields = {"request_id": context.request_id, "org": context.org, "engine": context.engine}
            known = {name: value[:MAX_VALUE_CHARS] for name, value in fields.items() if value}
            vars(record)[_FIELDS] = known
        return True
