"""``awaaztwin key``: API keys."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from services.cli.config import ConfigOption
from services.cli.console import CommandError, output, print_json, reported
from services.cli.offline import administer, consult
from services.tenancy.scopes import EVERYDAY, Scope

if TYPE_CHECKING:
    from services.tenancy.administration import Administration, MadeKey
    from storage.tables import ApiKey

app = typer.Typer(help="Manage API keys, directly in the database.", no_args_is_help=True)

OrgOption = Annotated[str, typer.Option("--org", help="The organisation's id or name.")]


@app.command()
@reported()
def create(
    name: Annotated[str, typer.Argument(help="The key's name.")],
    *,
    org: OrgOption,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            help=f"Scopes to grant: {', '.join(Scope)}; by default {', '.join(sorted(EVERYDAY))}.",
        ),
    ] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="Days until it expires.")] = None,
    config: ConfigOption = None,
) -> None:
    """Create a key. Standard output gets only the key; it is shown only once."""
    if unknown := sorted(set(scope or ()) - set(Scope)):
        raise CommandError(f"Unknown scope: {', '.join(unknown)}.", f"The scopes: {', '.join(Scope)}.")
    scopes = None if scope is None else [Scope(entry) for entry in scope]
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)

    async def work(admin: "Administration") -> "MadeKey":
        place = (await admin.find_org(org)).id
        return await admin.create_key(place, name=name, scopes=scopes, expires_at=expires_at)

    made = administer(config, work)
    typer.echo(made.text)


@app.command("list")
@reported()
def list_keys(
    *,
    org: OrgOption,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """List the keys of an organisation, without their secrets."""

    async def work(admin: "Administration") -> "Sequence[ApiKey]":
        return await admin.keys((await admin.find_org(org)).id)

    keys = consult(config, work)
    if as_json:
        print_json([{"id": k.id, "name": k.name, "scopes": k.scopes, "state": _state(k)} for k in keys])
        return
    table = Table("Id", "Name", "Begins with", "Scopes", "Last used", "State")
    for key in keys:
        used = key.last_used_at.isoformat(timespec="seconds") if key.last_used_at else "never"
        table.add_row(key.id, key.name, f"atk_{key.prefix}", ", ".join(key.scopes), used, _state(key))
    output().print(table)


@app.command()
@reported()
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key's id.")],
    *,
    org: OrgOption,
    config: ConfigOption = None,
) -> None:
    """Revoke a key permanently."""

    async def work(admin: "Administration") -> "ApiKey":
        return await admin.revoke_key((await admin.find_org(org)).id, key)

    revoked = administer(config, work)
    output().print(f"Revoked the key {revoked.name}.")


def _state(key: "ApiKey") -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        return "expired"
    return "good"
