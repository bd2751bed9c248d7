"""``awaaztwin init``: sets up a server that requires keys."""

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from services.cli.console import CommandError, messages, reported
from services.cli.models_pull import offer
from services.cli.offline import administer, hash_password
from services.cli.user import ask_password
from services.config import load_settings
from services.config.load import FILE_NAME
from storage.private import make_private_folder, private_opener

if TYPE_CHECKING:
    from services.tenancy.administration import Administration, MadeKey

SETTINGS: Final = """\
# Written by `awaaztwin init`. All keys and their defaults: docs/configuration.md
env: local
auth:
  # Every request needs a key or a token.
  mode: required
storage:
  db_url: {db_url}
"""

DEFAULT_DB: Final = "sqlite+aiosqlite:///data/awaaztwin.db"


@reported()
def init(
    *,
    org: Annotated[str, typer.Option("--org", prompt="Organisation", help="The first organisation's name.")],
    email: Annotated[str, typer.Option("--email", prompt="Your e-mail address", help="The owner's address.")],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    folder: Annotated[Path, typer.Option("--folder", help="The folder to write the settings to.")] = Path(),
) -> None:
    """Write the settings, create the database, the first organisation and its owner, and print an API key.

    The owner is also the server's operator. Existing settings are used unchanged.
    """
    settings = folder / FILE_NAME
    password = ask_password(from_stdin=password_stdin)
    written = _write(settings)
    try:
        hashed = hash_password(settings, password, email, org)
        made = administer(settings, lambda admin: _first(admin, org, email, hashed))
    except CommandError:
        for path in written:
            path.unlink()
        raise
    for path in written:
        messages().print(Text(f"Wrote {path}"))
    messages().print(Text(f"Created the organisation {org} and its owner {email}."))
    messages().print(Text("This key is shown once. Start the server with: awaaztwin serve"))
    typer.echo(made.text)
    offer(load_settings(settings).settings)


async def _first(admin: "Administration", org: str, email: str, password_hash: str) -> "MadeKey":
    place = await admin.create_org(org, plan=None, limits={})
    owner = await admin.create_owner(place.id, email, password_hash, operator=True)
    everything = await admin.scopes_of(place.id, owner.id)
    return await admin.create_key(place.id, name="first key", scopes=sorted(everything), user_id=owner.id)


def _write(settings: Path) -> list[Path]:
    """Write the missing files; return those that were written."""
    if settings.exists():
        return []
    dotenv = settings.with_name(".env")
    make_private_folder(settings.parent)
    # A relative path would depend on the folder in which the server is started.
    here = settings.parent.resolve() == Path.cwd()
    db_url = DEFAULT_DB if here else f"sqlite+aiosqlite:///{settings.parent.resolve()}/data/awaaztwin.db"
    # Private, because passwords of databases and tokens of runners may be added later.
    with open(settings, "x", encoding="utf-8", opener=private_opener) as file:
        file.write(SETTINGS.format(db_url=json.dumps(db_url)))
    if dotenv.exists():
        return [settings]
    with open(dotenv, "x", encoding="utf-8", opener=private_opener) as file:
        file.write(f"AWAAZTWIN_AUTH__JWT_SECRET={secrets.token_urlsafe(48)}\n")
    return [settings, dotenv]
