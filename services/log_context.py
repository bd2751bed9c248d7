"""Which request the running task works for, so that each line it logs can say so.

The Gateway hands the request's id to its runners in a header, so their lines carry it, too.
"""

import logging
import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import Final

REQUEST_ID: Final = "x-request-id"
"""The header of a request's id, from clients and to them, and from the Gateway to its runners."""

MAX_VALUE_CHARS: Final = 100
"""Of an id or a name in a line."""

_FIELDS: Final = "request_fields"
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,100}")


@dataclass(slots=True, eq=False)
class LogContext:
    """What is known of a request. One object for all of its tasks: each sees what another learnt.

    Attributes:
        request_id: Its id.
        org: The id of the organisation it comes from.
        engine: The engine that speaks for it.
    """

    request_id: str | None = None
    org: str | None = None
    engine: str | None = None


_CURRENT: Final[ContextVar[LogContext | None]] = ContextVar("log_context", default=None)


def request_id_in(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The id that an ASGI request's headers give; ``None`` where there is none, or it is not one word."""
    given = dict(headers).get(REQUEST_ID.encode(), b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else None


@contextmanager
def logged_as(context: LogContext) -> Generator[None, None, None]:
    """Lines logged in the block, and by the tasks and threads it starts, are of this request."""
    token = _CURRENT.set(context)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def note(*, org: str | None = None, engine: str | None = None) -> None:
    """Add what has become known of the running request; outside one, do nothing."""
    context = _CURRENT.get()
    if context is not None:
        context.org = org or context.org
        context.engine = engine or context.engine


def handed_on() -> dict[str, str]:
    """The headers that name the running request to a runner."""
    context = _CURRENT.get()
    return {} if context is None or context.request_id is None else {REQUEST_ID: context.request_id}


def of_no_request() -> Context:
    """The running task's context without its request: for work that one request starts for many."""
    context = copy_context()
    context.run(_CURRENT.set, None)
    return context


def known_of(record: logging.LogRecord) -> dict[str, str]:
    """The fields that :class:`RequestFields` gave a record, those that are known."""
    return vars(record).get(_FIELDS, {})


class RequestFields(logging.Filter):
    """Gives each record of a handler what is known of the request it was logged for; drops none."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields."""
        if (context := _CURRENT.get()) is not None:
            fields = {"request_id": context.request_id, "org": context.org, "engine": context.engine}
            known = {name: value[:MAX_VALUE_CHARS] for name, value in fields.items() if value}
            vars(record)[_FIELDS] = known
        return True
