"""``awaaztwin voice export`` and ``import``: a voice as one file."""

import unicodedata
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from services.cli.address import KeyOption, UrlOption, find_server
from services.cli.client import Client
from services.cli.console import CommandError, messages, output, print_json, reported
from services.cli.meter import transfer_bar
from services.cli.sink import FileSink, terminable
from services.cli.voice.create import JsonOption
from services.cli.voice.listing import VoiceArgument
from services.cli.voice.lookup import find_voice
from services.cli.voice.upload import upload
from services.cli.voice.watch import settled

SUFFIX: Final = ".awaazvoice.zip"

MAX_FILE_NAME_CHARS: Final = 100
"""Maximum number of characters of a voice's name in a file name."""

TIMEOUT_SECONDS: Final = 120.0
"""Seconds to wait for the next bytes; the server gathers the whole voice before it sends any."""


@reported()
def export(
    voice: VoiceArgument,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=f"The file; by default NAME{SUFFIX} in this folder.")
    ] = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Export a voice to one file. Anyone who has it can speak in that voice: keep it safe."""
    with terminable(), Client(find_server(url, api_key), timeout=TIMEOUT_SECONDS) as client:
        found = find_voice(client, voice)
        target = out or Path(f"{_file_name(str(found['name'])) or found['id']}{SUFFIX}")
        if out is None and target.exists():
            raise CommandError(f"{target} already exists.", "Name another file with --out.")
        _write(client, f"/voices/{found['id']}/export", target)
    output().print(Text(f"Wrote {target} ({target.stat().st_size:,} bytes)."))


@reported()
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An exported voice.")],
    *,
    name: Annotated[str | None, typer.Option("--name", "-n", help="A new name for it.")] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Create a voice from an exported file, of this server or another."""
    with Client(find_server(url, api_key)) as client:
        fields = {} if name is None else {"name": name}
        voice = upload(client, "/voices/import", fields, [file], field="bundle", then="the server unpacks it")
    if as_json:
        print_json(voice)
        return
    output().print(Text(f"Imported {voice['name']}: {voice['id']} ({voice['state']})"))
    if not settled(voice):
        messages().print(f"Engines prepare it now: `awaaztwin voice show {voice['id']}` shows its progress.")


def _write(client: Client, path: str, target: Path) -> None:
    with transfer_bar() as bar, FileSink(target, private=True) as sink, client.download(path) as data:
        task = bar.add_task("receiving", total=None)
        for piece in data:
            sink.write(piece)
            bar.update(task, advance=len(piece))


def _file_name(name: str) -> str:
    """Return a voice's name without characters that file names cannot contain."""
    # Keep marks: in Devanagari, they are vowels.
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" or c in "-_" else "-" for c in name)
    return "-".join(piece for piece in kept.split("-") if piece)[:MAX_FILE_NAME_CHARS]
