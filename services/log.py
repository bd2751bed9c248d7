"""How the processes log: text for people, or JSON lines for collectors."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from services.config import Settings
from services.escaping import escaped, escaped_lines
from services.log_context import RequestFields, known_of

NAMESPACES: Final = ("services", "engines", "storage", "awaaztwin")
"""Loggers that are ours."""

TEXT: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

INDENT: Final = "    "
"""Before each line of a traceback; a record begins with its time."""


class TextFormatter(logging.Formatter):
    """One line a record, its request in brackets at the end; tracebacks are indented below it."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        record.message = record.getMessage()
        record.asctime = self.formatTime(record)
        text = escaped(self.formatMessage(record) + _request(record))
        return "\n".join([text, *(escaped_lines(part, INDENT) for part in _below(self, record))])


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **known_of(record),
        }
        if below := _below(self, record):
            line["exception"] = "\n".join(below)
        # JSON escapes line ends itself; the rest would reach a terminal, or no encoding would take it.
        safe = {name: "\n".join(map(escaped, value.split("\n"))) for name, value in line.items()}
        return json.dumps(safe, ensure_ascii=False)


def _request(record: logging.LogRecord) -> str:
    """The request of a record as `` [req_1 org=org_1 engine=ESPEAK]``, as far as it is known."""
    known = known_of(record)
    words = [value if name == "request_id" else f"{name}={value}" for name, value in known.items()]
    return f" [{' '.join(words)}]" if words else ""


def _below(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    """The record's traceback and stack, where it has them."""
    found = [formatter.formatException(record.exc_info)] if record.exc_info else []
    return [*found, formatter.formatStack(record.stack_info)] if record.stack_info else found


def configure_logging(settings: Settings) -> None:
    """Send our loggers to standard error at the configured level; safe to repeat.

    Others (BentoML's, uvicorn's) keep their streams and levels, and write as ours do: a client's text is in
    their records, too. So that each line says which request it is of, handlers have a filter: one on a
    logger would see nothing of the loggers below it.
    """
    formatter = JsonFormatter() if settings.server.log_format == "json" else TextFormatter()
    handler = logging.StreamHandler(sys.stderr)
    fields = RequestFields()
    _write_as(formatter, fields, handler)
    for name in NAMESPACES:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(settings.server.log_level.upper())
        logger.propagate = False
    loggers = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    for other in (other for logger in (logging.root, *loggers) for other in logger.handlers):
        _write_as(formatter, fields, other)
    if logging.lastResort is not None:
        _write_as(formatter, fields, logging.lastResort)


def _write_as(formatter: logging.Formatter, fields: RequestFields, handler: logging.Handler) -> None:
    handler.setFormatter(formatter)
    for old in [one for one in handler.filters if isinstance(one, RequestFields)]:
        handler.removeFilter(old)
    handler.addFilter(fields)
