"""Logging configuration: text for people, or JSON lines for log collectors."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from services.config import Settings
from services.escaping import escaped, escaped_lines
from services.log_context import RequestFields, known_of

NAMESPACES: Final = ("services", "engines", "storage", "awaaztwin")
"""Names of this project's top-level loggers."""

TEXT: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

INDENT: Final = "    "
"""Indentation of tracebacks, which tells their lines from the beginning of a record."""


class TextFormatter(logging.Formatter):
    """Formats a record as one line, with its request in brackets at the end; tracebacks are indented."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as text."""
        record.message = record.getMessage()
        record.asctime = self.formatTime(record)
        text = escaped(self.formatMessage(record) + _request(record))
        return "\n".join([text, *(escaped_lines(part, INDENT) for part in _below(self, record))])


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as JSON."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **known_of(record),
        }
        if below := _below(self, record):
            line["exception"] = "\n".join(below)
        # JSON escapes line ends itself; other characters could control a terminal, or cannot be encoded.
        safe = {name: "\n".join(map(escaped, value.split("\n"))) for name, value in line.items()}
        return json.dumps(safe, ensure_ascii=False)


def _request(record: logging.LogRecord) -> str:
    """Format the known fields of a record's request, as `` [req_1 org=org_1 engine=ESPEAK]``."""
    known = known_of(record)
    words = [value if name == "request_id" else f"{name}={value}" for name, value in known.items()]
    return f" [{' '.join(words)}]" if words else ""


def _below(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    """Format a record's traceback and stack, if any."""
    found = [formatter.formatException(record.exc_info)] if record.exc_info else []
    return [*found, formatter.formatStack(record.stack_info)] if record.stack_info else found


def configure_logging(settings: Settings) -> None:
    """Send this project's loggers to standard error at the configured level; idempotent.

    Other loggers (BentoML's, uvicorn's) keep their streams and levels but get the same formatter, since their
    records contain clients' text, too. The filter that adds the request is on the handlers, since a logger's
    filter would not see the records of its child loggers.
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
