"""``awaaztwin org``: the organisations."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.table import Table

from services.cli.config import ConfigOption
from services.cli.console import CommandError, output, print_json, reported
from services.cli.offline import administer, consult, opened
from services.config import QuotaLimits

if TYPE_CHECKING:
    from services.tenancy.administration import Administration
    from storage.tables import Org

app = typer.Typer(help="Manage organisations, directly in the database.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="ORG", help="The organisation's id or name.")]
PlanOption = Annotated[str | None, typer.Option("--plan", help="A plan from the settings.")]
LimitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="NAME=VALUE",
        help=f"A limit, NAME=NUMBER: {', '.join(QuotaLimits.model_fields)}; `none` removes it. Repeatable.",
    ),
]


@app.command()
@reported()
def create(
    name: Annotated[str, typer.Argument(help="The organisation's name.")],
    *,
    plan: PlanOption = None,
    limit: LimitOption = None,
    config: ConfigOption = None,
) -> None:
    """Create an organisation."""
    limits = _limits(limit)
    org = administer(config, lambda admin: admin.create_org(name, plan=plan, limits=limits))
    output().print(f"Created the organisation {org.name}: {org.id}")


@app.command("list")
@reported()
def list_orgs(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """List the organisations."""
    orgs: Sequence[Org] = consult(config, lambda admin: admin.orgs())
    if as_json:
        print_json([{"id": o.id, "name": o.name, "plan": o.plan, "limits": o.limits} for o in orgs])
        return
    table = Table("Id", "Name", "Plan", "Limits of its own", "State")
    for org in orgs:
        limits = ", ".join(f"{name}={value}" for name, value in org.limits.items())
        table.add_row(org.id, org.name, org.plan, limits, "locked" if org.disabled_at else "open")
    output().print(table)


@app.command()
@reported()
def change(
    org: NameArgument,
    *,
    name: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    plan: PlanOption = None,
    limit: LimitOption = None,
    lock: Annotated[
        bool | None, typer.Option("--lock/--unlock", help="Lock or unlock the organisation.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Change an organisation. Limits that are not named are unchanged."""

    async def work(admin: "Administration") -> "Org":
        found = await admin.find_org(org)
        limits = {**found.limits, **_limits(limit)} if limit else None
        return await admin.update_org(found.id, name=name, plan=plan, limits=limits, disabled=lock)

    changed = administer(config, work)
    output().print(f"Changed the organisation {changed.name}.")


@app.command()
@reported()
def delete(
    org: NameArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Remove an organisation and all its data."""
    if not yes:
        typer.confirm(f"Remove {org} with its memberships, keys and usage?", abort=True)
    with opened(config) as (offline, settings):
        name = offline.delete_org(settings, org)
    output().print(f"Removed the organisation {name}.")


def _limits(given: list[str] | None) -> dict[str, int | None]:
    limits: dict[str, int | None] = {}
    for entry in given or []:
        name, _, value = entry.partition("=")
        if name not in QuotaLimits.model_fields:
            known = ", ".join(QuotaLimits.model_fields)
            raise CommandError(f"Unknown limit '{name}'.", f"The limits: {known}.")
        if value == "none":
            limits[name] = None
        else:
            try:
                limits[name] = getattr(QuotaLimits.model_validate({name: value}), name)
            except ValidationError as error:
                raise CommandError(
                    f"'{entry}' is not NAME=NUMBER or NAME=none: {error.errors()[0]['msg']}."
                ) from error
    return limits
