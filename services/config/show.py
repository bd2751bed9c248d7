"""The effective settings for people and for programs: ``awaaztwin config show``."""

import json
from typing import TypedDict

from pydantic import JsonValue
from rich.table import Table
from rich.text import Text

from services.config.flat import flatten
from services.config.load import LoadedSettings
from services.config.validation import DEFAULT


class ShownSettings(TypedDict):
    """What ``config show --json`` prints and ``GET /config`` answers.

    Attributes:
        settings: The settings, secrets masked.
        sources: Dotted key → where its value came from.
    """

    settings: dict[str, JsonValue]
    sources: dict[str, str]


def render_json(loaded: LoadedSettings) -> ShownSettings:
    """The settings as JSON would have them.

    Args:
        loaded: The settings.
    """
    return {"settings": loaded.masked(), "sources": dict(loaded.sources)}


def render_table(loaded: LoadedSettings) -> Table:
    """A table with a row for each key: its value, and where that came from; defaults are dim.

    Args:
        loaded: The settings.
    """
    table = Table(title="Settings", title_justify="left")
    for heading in ("Key", "Value", "Source"):
        table.add_column(heading, overflow="fold")
    for path, value in flatten(loaded.masked()):
        key = ".".join(path)
        source = loaded.sources[key]
        style = "dim" if source == DEFAULT else ""
        # Text, not str: a value may look like rich's markup.
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        table.add_row(Text(key), Text(text), Text(source), style=style)
    return table
