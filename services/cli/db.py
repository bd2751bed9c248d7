"""``awaaztwin db``: the database itself."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.config import ConfigOption
from services.cli.console import output, reported
from services.cli.offline import opened

app = typer.Typer(help="Migrate and back up the database.", no_args_is_help=True)


@app.command()
@reported()
def upgrade(
    revision: Annotated[str, typer.Argument(help="The revision to upgrade to.")] = "head",
    *,
    config: ConfigOption = None,
) -> None:
    """Upgrade the tables to what this version needs, or to a revision."""
    with opened(config) as (offline, settings):
        before, after = offline.upgrade(settings, revision)
    _tell(before, after)


@app.command()
@reported()
def downgrade(
    revision: Annotated[str, typer.Argument(help="The revision to downgrade to; `base` drops everything.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Downgrade the tables to a revision. What later ones stored is lost: back up first."""
    if not yes:
        typer.confirm(f"Downgrade to revision {revision}, and lose what later ones store?", abort=True)
    with opened(config) as (offline, settings):
        before, after = offline.downgrade(settings, revision)
    _tell(before, after)


@app.command()
@reported()
def backup(
    target: Annotated[Path, typer.Argument(help="The file to write; it must not exist yet.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Back up the database to a file, even while it is in use.

    PostgreSQL needs `pg_dump`; restore with `pg_restore`.
    """
    with opened(config) as (offline, settings):
        offline.copy(settings, target)
    output().print(f"Wrote {target} ({target.stat().st_size:,} bytes).")


def _tell(before: str | None, after: str | None) -> None:
    if before == after:
        output().print(f"The tables were at revision {after or 'none'} already.")
    else:
        output().print(f"The tables are at revision {after or 'none'}; before: {before or 'none'}.")
