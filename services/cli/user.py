"""``awaaztwin user``: the members of organisations."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from services.cli.config import ConfigOption
from services.cli.console import messages, output, print_json, reported
from services.cli.offline import administer, consult, hash_password
from services.config import load_settings

if TYPE_CHECKING:
    from services.tenancy.administration import Administration, MadeInvitation, MadeReset
    from storage.repositories.users import Member

app = typer.Typer(help="Manage users, directly in the database.", no_args_is_help=True)

OrgOption = Annotated[str, typer.Option("--org", help="The organisation's id or name.")]
RoleOption = Annotated[str, typer.Option("--role", help="owner, admin, member or service.")]
EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL", help="The user's e-mail address.")]
StdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")
]


@app.command()
@reported()
def invite(
    email: EmailArgument,
    *,
    org: OrgOption,
    role: RoleOption = "member",
    config: ConfigOption = None,
) -> None:
    """Invite a person to an organisation, whether or not they have an account.

    Standard output gets only the token, which is shown only once. No e-mail is sent: give the token to that
    person alone.
    """

    async def work(admin: "Administration") -> "MadeInvitation":
        return await admin.invite((await admin.find_org(org)).id, email, role=role)

    made = administer(config, work)
    until = made.invitation.expires_at
    messages().print(Text(f"{made.invitation.email} can accept until {until:%Y-%m-%d %H:%M} UTC by sending"))
    messages().print(Text(f'{{"token": …, "password": …}} to POST {_public(config)}/auth/invitations/accept'))
    typer.echo(made.token)


@app.command()
@reported()
def add(
    email: EmailArgument,
    *,
    org: OrgOption,
    role: RoleOption = "member",
    name: Annotated[str, typer.Option("--name", help="Their name.")] = "",
    no_password: Annotated[
        bool, typer.Option("--no-password", help="No password: the user sets one through `reset`.")
    ] = False,
    password_stdin: StdinOption = False,
    config: ConfigOption = None,
) -> None:
    """Create a user as a member of an organisation; you vouch that the address is theirs.

    If the person already has an account, invite them instead.
    """
    hashed = None
    if not no_password:
        hashed = hash_password(config, ask_password(from_stdin=password_stdin), email, name, org)

    async def work(admin: "Administration") -> "Member":
        place = (await admin.find_org(org)).id
        return await admin.add_member(place, email, role=role, password_hash=hashed, name=name)

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

    members = consult(config, work)
    if as_json:
        print_json(
            [
                {
                    "id": member.user.id,
                    "email": member.user.email,
                    "role": member.role,
                    "disabled": member.user.disabled_at is not None,
                }
                for member in members
            ]
        )
        return
    table = Table("Id", "E-mail", "Name", "Role", "Operator", "State")
    for user, role in members:
        state = "disabled" if user.disabled_at else "open"
        table.add_row(user.id, user.email, user.name, role, "yes" if user.operator else "", state)
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
        return await admin.change_role(place, user.id, role)

    member = administer(config, work)
    output().print(f"{member.user.email} is {member.role} of {org}.")


@app.command()
@reported()
def reset(email: EmailArgument, *, config: ConfigOption = None) -> None:
    """Issue a token for choosing a new password. Until it is used, nothing changes.

    Standard output gets only the token, which is shown only once. No e-mail is sent: give the token to that
    person alone.
    """

    async def work(admin: "Administration") -> "MadeReset":
        return await admin.reset_password((await admin.find_user(email)).id)

    made = administer(config, work)
    until = made.expires_at
    messages().print(
        Text(f"{made.user.email} can choose a password until {until:%Y-%m-%d %H:%M} UTC by sending")
    )
    messages().print(Text(f'{{"token": …, "password": …}} to POST {_public(config)}/auth/password/reset'))
    typer.echo(made.token)


@app.command()
@reported()
def disable(email: EmailArgument, *, config: ConfigOption = None) -> None:
    """Lock a user out of every organisation; their sessions end and their keys stop working."""
    _set_disabled(config, email, disabled=True)
    output().print(f"{email} is locked out.")


@app.command()
@reported()
def enable(email: EmailArgument, *, config: ConfigOption = None) -> None:
    """Unlock a user."""
    _set_disabled(config, email, disabled=False)
    output().print(f"{email} can log in again.")


@app.command()
@reported()
def remove(email: EmailArgument, *, org: OrgOption, config: ConfigOption = None) -> None:
    """Remove a user from an organisation."""

    async def work(admin: "Administration") -> None:
        place = (await admin.find_org(org)).id
        user = await admin.find_user(email)
        await admin.remove_member(place, user.id)

    administer(config, work)
    output().print(f"{email} is no longer a member of {org}.")


def _set_disabled(config: Path | None, email: str, *, disabled: bool) -> None:
    async def work(admin: "Administration") -> None:
        await admin.set_disabled((await admin.find_user(email)).id, disabled=disabled)

    administer(config, work)


def _public(config: Path | None) -> str:
    """Return the server's public URL in the settings, without a trailing slash; empty if not set."""
    return (load_settings(config).settings.server.public_url or "").rstrip("/")


def ask_password(*, from_stdin: bool) -> str:
    """Read a password: prompted twice and hidden, or the first line of standard input."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
