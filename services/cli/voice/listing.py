"""``awaaztwin voice list``, ``show`` and ``script``: show voices, and sentences to read aloud."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from services.cli.address import KeyOption, UrlOption, find_server
from services.cli.client import Client
from services.cli.console import messages, output, print_json, reported
from services.cli.voice.create import JsonOption, show_voice
from services.cli.voice.lookup import all_voices, find_voice
from services.cli.voice.report import state_text

VoiceArgument = Annotated[str, typer.Argument(metavar="VOICE", help="The voice's name, alias or id.")]


@reported()
def list_voices(
    *,
    search: Annotated[str | None, typer.Option("--search", help="Text in name or description.")] = None,
    language: Annotated[str | None, typer.Option("--language", "-l", help="Only in this language.")] = None,
    state: Annotated[
        str | None, typer.Option("--state", help="pending, processing, ready, failed or revoked.")
    ] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """List the organisation's own voices; `awaaztwin voices` also lists the engines'."""
    given = {"search": search, "language": language, "state": state}
    params = {name: value for name, value in given.items() if value is not None}
    with Client(find_server(url, api_key)) as client:
        voices = list(all_voices(client, params))
    if as_json:
        print_json(voices)
        return
    if not voices:
        messages().print("No voice matches." if params else "There are no voices yet.")
        return
    table = Table("Name", "Id", "Language", "State", "Recordings", "Also called")
    for voice in voices:
        table.add_row(*_cells(voice))
    output().print(table)


@reported()
def show(
    voice: VoiceArgument, *, as_json: JsonOption = False, url: UrlOption = None, api_key: KeyOption = None
) -> None:
    """Show a voice: its state, overall and in each engine, its consent, and its recordings' quality."""
    with Client(find_server(url, api_key)) as client:
        found = find_voice(client, voice)
        samples = client.get(f"/voices/{found['id']}/samples").get("data", [])
    show_voice(found, samples, as_json=as_json)


@reported()
def script(
    *,
    language: Annotated[
        str, typer.Option("--language", "-l", help="Language of the reader, such as `hi`.")
    ] = "en",
    as_json: JsonOption = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Print sentences to read aloud: a recording with a transcript makes a better voice."""
    with Client(find_server(url, api_key)) as client:
        sentences = client.get("/voices/script", {"language": language}).get("sentences", [])
    if as_json:
        print_json(sentences)
        return
    for sentence in sentences:
        output().print(Text(sentence))


def _cells(voice: Mapping[str, Any]) -> list[Text]:
    return [
        Text(str(voice["name"])),
        Text(str(voice["id"])),
        Text(str(voice.get("language") or "")),
        state_text(voice["state"]),
        Text(str(voice.get("samples", 0))),
        Text(", ".join(voice.get("aliases") or [])),
    ]
