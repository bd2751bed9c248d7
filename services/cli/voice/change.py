"""``awaaztwin voice delete``, ``alias``, ``unalias``, ``prepare`` and ``consent``."""

from typing import Annotated

import typer
from rich.text import Text

from services.cli.address import KeyOption, UrlOption, find_server
from services.cli.client import Client, part
from services.cli.console import output, reported
from services.cli.voice.create import JsonOption, NoWaitOption, TimeoutOption, attest, finish
from services.cli.voice.listing import VoiceArgument
from services.cli.voice.lookup import find_voice
from services.cli.voice.watch import TIMEOUT_SECONDS

AliasArgument = Annotated[str, typer.Argument(metavar="ALIAS", help="The alias, such as `alloy`.")]


@reported()
def delete(
    voice: VoiceArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Delete a voice, its recordings and everything derived from them; it stops speaking at once."""
    with Client(find_server(url, api_key)) as client:
        found = find_voice(client, voice)
        if not yes:
            count = found.get("samples", 0)
            question = f"Remove {found['name']} ({found['id']}) and its recordings ({count})?"
            typer.confirm(question, abort=True)
        client.delete(f"/voices/{found['id']}")
    output().print(Text(f"Removed the voice {found['name']}."))


@reported()
def alias(
    voice: VoiceArgument, alias: AliasArgument, *, url: UrlOption = None, api_key: KeyOption = None
) -> None:
    """Make a name, such as OpenAI's `alloy`, an alias of this voice in the whole organisation."""
    with Client(find_server(url, api_key)) as client:
        found = find_voice(client, voice)
        changed = client.send("PUT", f"/voices/{found['id']}/aliases/{part(alias)}")
    output().print(Text(f"{changed['name']} is also called {', '.join(changed['aliases'])}."))


@reported()
def unalias(
    voice: VoiceArgument, alias: AliasArgument, *, url: UrlOption = None, api_key: KeyOption = None
) -> None:
    """Remove an alias."""
    with Client(find_server(url, api_key)) as client:
        found = find_voice(client, voice)
        client.delete(f"/voices/{found['id']}/aliases/{part(alias)}")
    output().print(Text(f"{found['name']} is no longer called {alias}."))


@reported()
def prepare(
    voice: VoiceArgument,
    *,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = TIMEOUT_SECONDS,
    as_json: JsonOption = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Prepare a voice again; until that is done, it speaks as before."""
    with Client(find_server(url, api_key)) as client:
        found = find_voice(client, voice)
        changed = client.send("POST", f"/voices/{found['id']}/prepare")
        finish(client, changed, patience=None if no_wait else timeout, as_json=as_json)


@reported()
def consent(
    voice: VoiceArgument,
    *,
    by: Annotated[str, typer.Option("--by", help="Name of the speaker who consents.")],
    text: Annotated[str, typer.Option("--text", help="What the speaker declares, in their words.")],
    language: Annotated[str | None, typer.Option("--language", "-l", help="Language of the text.")] = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Declare that the speaker of a voice consents. The time, the caller and their address are recorded."""
    with Client(find_server(url, api_key)) as client:
        found = find_voice(client, voice)
        given = attest(client, found, by, text, language)
    output().print(Text(f"{by} consents to {found['name']}: {given['id']}"))
