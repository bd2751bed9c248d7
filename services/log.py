"""How the processes log: text for people, or JSON lines for collectors."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from services.config import Settings

NAMESPACES: Final = ("services", "engines", "storage", "awaaztwin")
"""Loggers that are ours; the root is left to whoever owns the process."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logging(settings: Settings) -> None:
    """Send our loggers to standard error at the configured level; safe to repeat."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.server.log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    for name in NAMESPACES:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(settings.server.log_level.upper())
        logger.propagate = False
