"""``awaaztwin config``: the settings in effect."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from services.cli.console import messages, output, print_json, reported
from services.config import ConfigError, LoadedSettings, load_settings
from services.config.load import FILE_NAME
from services.config.mask import flatten
from services.config.validation import DEFAULT
from services.config.variables import FILE_VARIABLE

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help=f"The settings file; by default {FILE_VARIABLE}, or ./{FILE_NAME}."),
]

app = typer.Typer(help="Show and check the settings.", no_args_is_help=True)


@app.command()
@reported()
def show(
    *,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the effective settings and where each value came from; secrets are masked."""
    loaded = load_settings(config)
    if as_json:
        print_json(loaded.shown())
    else:
        output().print(table_of(loaded))


@app.command()
@reported()
def check(*, config: ConfigOption = None) -> None:
    """Check the settings and list what is wrong; problems make the exit status 1."""
    loaded = load_settings(config)
    engines = ", ".join(engine.name for engine in loaded.settings.enabled_engines)
    read = ", ".join(str(file) for file in loaded.files) or "no file, built-in defaults"
    output().print(Text(f"The settings are valid ({read}). Engines: {engines}."))


@app.command()
@reported()
def path(*, config: ConfigOption = None) -> None:
    """Print the files that settings are read from, one per line; later ones win."""
    expected = config or Path(os.environ.get(FILE_VARIABLE) or FILE_NAME)
    try:
        files = load_settings(config).files
    except ConfigError:
        # The path helps most when the file is invalid.
        files = (Path.cwd() / expected.expanduser(),)
    for file in files:
        typer.echo(file)
    if not files:
        messages().print(
            f"No settings file; built-in defaults are in effect. It would be {expected.resolve()}"
        )


def table_of(loaded: LoadedSettings) -> Table:
    """Return a table with the value and source of each key; secrets are masked, defaults dimmed."""
    table = Table(title="Settings", title_justify="left")
    for heading in ("Key", "Value", "Source"):
        table.add_column(heading, overflow="fold")
    for path, value in flatten(loaded.masked()):
        source = loaded.sources[".".join(path)]
        # Text, not str, because a value may look like rich's markup.
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        cells = (Text(".".join(path)), Text(text), Text(source))
        table.add_row(*cells, style="dim" if source == DEFAULT else "")
    return table
