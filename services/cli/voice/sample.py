"""``awaaztwin voice sample``: the recordings of a voice."""

from typing import Annotated

import typer
from rich.text import Text

from services.cli.address import KeyOption, UrlOption, find_server
from services.cli.client import Client
from services.cli.console import USAGE, CommandError, output, reported
from services.cli.voice.create import (
    JsonOption,
    NeighboursOption,
    NoWaitOption,
    TimeoutOption,
    TranscriptsOption,
    finish,
    send_recordings,
)
from services.cli.voice.files import RecordingFile, find_recordings
from services.cli.voice.listing import VoiceArgument
from services.cli.voice.lookup import find_voice
from services.cli.voice.watch import TIMEOUT_SECONDS

app = typer.Typer(help="Add and remove the recordings of a voice.", no_args_is_help=True)


@app.command()
@reported()
def add(  # noqa: PLR0913 - one parameter for each option
    voice: VoiceArgument,
    files: Annotated[list[str], typer.Argument(metavar="FILES...", help="Recordings, or patterns.")],
    *,
    transcript: Annotated[
        list[str] | None,
        typer.Option("--transcript", help="Transcript, once per recording, in order."),
    ] = None,
    transcripts: TranscriptsOption = None,
    no_transcripts: NeighboursOption = False,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = TIMEOUT_SECONDS,
    as_json: JsonOption = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Add recordings: all of them are accepted, or none. The voice is prepared again."""
    recordings = find_recordings(files, transcripts, neighbours=not (no_transcripts or transcript))
    if transcript:
        if len(transcript) != len(recordings) or transcripts is not None:
            message = (
                f"Give --transcript once for each of the {len(recordings)} recordings, or --transcripts."
            )
            raise CommandError(message, status=USAGE)
        recordings = [RecordingFile(r.path, text) for r, text in zip(recordings, transcript, strict=True)]
    with Client(find_server(url, api_key)) as client:
        found = find_voice(client, voice)
        answer = send_recordings(client, f"/voices/{found['id']}/samples", {}, recordings)
        finish(client, answer["voice"], patience=None if no_wait else timeout, as_json=as_json)


@app.command()
@reported()
def delete(
    voice: VoiceArgument,
    sample: Annotated[str, typer.Argument(metavar="RECORDING", help="Its id, or the name of its file.")],
    *,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Remove a recording. The voice is prepared again from the others."""
    with Client(find_server(url, api_key)) as client:
        found = find_voice(client, voice)
        where = f"/voices/{found['id']}/samples"
        samples = client.get(where).get("data", [])
        matching = [s for s in samples if s["id"] == sample] or [
            s for s in samples if s["filename"] == sample
        ]
        if len(matching) != 1:
            message = (
                f"{found['name']} has {len(matching) or 'no'} recording{'s' * bool(matching)} '{sample}'."
            )
            raise CommandError(
                message, f"`awaaztwin voice show {found['id']} --json` lists them with their ids."
            )
        client.delete(f"{where}/{matching[0]['id']}")
    output().print(Text(f"Removed {matching[0]['filename']} from {found['name']}."))
