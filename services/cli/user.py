"""``awaaztwin user``: the members of organisations."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from services.cli.config import ConfigOption
from services.cli.console import output, print_json, reported
from services.cli.offline import administer

if TYPE_CHECKING:
    from services.tenancy.administration import Administration
    from storage.repositories.users import Member

app = typer.Typer(help="Manage the users, on the database itself.", no_args_is_help=True)

OrgOption = Annotated[str, typer.Option("--org", help="The organisation's id or name.")]
EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL", help="The user's e-mail address.")]
StdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")
]


@app.command()
@reported()
def add(
    email: EmailArgument,
    *,
    org: OrgOption,
    role: Annotated[str, typer.Option("--role", help="owner, admin, member or service.")] = "member",
    name: Annotated[str, typer.Option("--name", help="Their name.")] = "",
    no_password: Annotated[bool, typer.Option("--no-password", help="They never log in.")] = False,
    password_stdin: StdinOption = False,
    config: ConfigOption = None,
) -> None:
    """Give a user a place in an organisation."""
    password = None if no_password else ask_password(from_stdin=password_stdin)

    async def work(admin: "Administration") -> "Member":
        return await admin.add_member(
            (await admin.find_org(org)).id,
            email,
            role=role,
            password=password,
            name=name,
            by_owner=True,
            by_operator=True,
        )

    member = administer(config, work)
    output().print(f"{member.user.email} is {member.role} of {org}: {member.user.id}")


@app.command("list")
@reported()
def list_users(
    *,
    org: OrgOption,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """List the members of an organisation."""

    async def work(admin: "Administration") -> "Sequence[Member]":
        return await admin.members((await admin.find_org(org)).id)

    members = administer(config, work)
    if as_json:
        print_json([{"id": m.user.id, "email": m.user.email, "role": m.role} for m in members])
        return
    table = Table("Id", "E-mail", "Name", "Role", "Operator")
    for user, role in members:
        table.add_row(user.id, user.email, user.name, role, "yes" if user.operator else "")
    output().print(table)


@app.command()
@reported()
def role(
    email: EmailArgument,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="owner, admin, member or service.")],
    *,
    org: OrgOption,
    config: ConfigOption = None,
) -> None:
    """Change a member's role."""

    async def work(admin: "Administration") -> "Member":
        place = (await admin.find_org(org)).id
        user = await admin.find_user(email)
        return await admin.change_member(
            place, user.id, role=role, password=None, by_owner=True, by_operator=True
        )

    member = administer(config, work)
    output().print(f"{member.user.email} is {member.role} of {org}.")


@app.command()
@reported()
def password(
    email: EmailArgument, *, password_stdin: StdinOption = False, config: ConfigOption = None
) -> None:
    """Set a user's password; their sessions end."""
    new = ask_password(from_stdin=password_stdin)

    async def work(admin: "Administration") -> None:
        await admin.set_password(await admin.find_user(email), new, org_id=None)

    administer(config, work)
    output().print(f"The password of {email} is set.")


@app.command()
@reported()
def remove(email: EmailArgument, *, org: OrgOption, config: ConfigOption = None) -> None:
    """Take a user's place in an organisation away."""

    async def work(admin: "Administration") -> None:
        place = (await admin.find_org(org)).id
        user = await admin.find_user(email)
        await admin.remove_member(place, user.id, by_owner=True)

    administer(config, work)
    output().print(f"{email} has no place in {org} any more.")


def ask_password(*, from_stdin: bool) -> str:
    """A password, typed twice without being shown, or the first line of standard input."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
