"""``awaaztwin retention``: deletes data whose retention period is over."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from services.cli.config import ConfigOption
from services.cli.console import output, print_json, reported
from services.cli.offline import opened

app = typer.Typer(help="Delete data whose retention period is over.", no_args_is_help=True)


@app.callback()
def _root() -> None:  # pyright: ignore[reportUnusedFunction] - typer calls it; a group even with one command
    pass


@app.command()
@reported()
def run(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Run retention once, directly on the database and the object store."""
    with opened(config) as (offline, settings):
        report = asdict(offline.retain(settings, dry_run=dry_run))
    if as_json:
        print_json(report)
        return
    table = Table("What", "Would be deleted" if dry_run else "Deleted")
    table.add_row("Kept audio", f"{report['outputs']:,}")
    table.add_row("Uploaded recordings", f"{report['recordings']:,}")
    table.add_row("Unreferenced objects", f"{report['objects']:,}")
    output().print(table)
