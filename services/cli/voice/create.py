"""``awaaztwin voice create`` and ``awaaztwin-voice-create``: create a voice from recordings."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.address import KeyOption, UrlOption, find_server
from services.cli.client import Client
from services.cli.console import USAGE, CommandError, messages, output, print_json, reported
from services.cli.voice.files import RecordingFile, find_recordings
from services.cli.voice.report import described, quality
from services.cli.voice.upload import upload
from services.cli.voice.watch import TIMEOUT_SECONDS, check_ready, watch

TranscriptsOption = Annotated[
    Path | None,
    typer.Option(
        "--transcripts",
        help="Transcripts: a .json object or a .tsv by file name, or a .txt with one line per recording.",
    ),
]
NeighboursOption = Annotated[
    bool,
    typer.Option("--no-transcripts", help="Don't use `x.txt` beside `x.wav` as its transcript."),
]
NoWaitOption = Annotated[
    bool, typer.Option("--no-wait", help="Return without waiting for the voice to be prepared.")
]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", min=1, max=86_400, help="Seconds to wait for the voice to be prepared.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@reported()
def create(  # noqa: PLR0913 - one parameter for each option
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILES]...", help="More recordings, such as a shell's expanded pattern."),
    ] = None,
    *,
    name: Annotated[str, typer.Option("--name", "-n", help="The voice's name, unique in the organisation.")],
    samples: Annotated[
        list[str] | None,
        typer.Option("--samples", help="Recordings: a file, or a pattern such as 'me/*.mp3'. Repeatable."),
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", "-l", help="Language of the recordings, such as `hi`.")
    ] = None,
    description: Annotated[str | None, typer.Option("--description", help="A description.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="NAME=VALUE", help="Label to find it by. Repeatable."),
    ] = None,
    alias: Annotated[
        list[str] | None, typer.Option("--alias", help="An alias, such as `alloy`. Repeatable.")
    ] = None,
    transcripts: TranscriptsOption = None,
    no_transcripts: NeighboursOption = False,
    consent: Annotated[
        str | None, typer.Option("--consent", help="Id of an existing consent of the speaker.")
    ] = None,
    consent_by: Annotated[
        str | None, typer.Option("--consent-by", help="Name of the speaker who consents.")
    ] = None,
    consent_text: Annotated[
        str | None, typer.Option("--consent-text", help="What the speaker declares, in their words.")
    ] = None,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = TIMEOUT_SECONDS,
    as_json: JsonOption = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Create a voice from recordings, and report their quality."""
    _check_consent(consent, consent_by, consent_text)
    patterns = [*(samples or ()), *(files or ())]
    if not patterns:
        raise CommandError("Name recordings with --samples.", "Such as --samples 'me/*.mp3'", status=USAGE)
    fields = {
        "name": name,
        "language": language,
        "description": description,
        "consent": consent,
        "labels": json.dumps(_labels(label)) if label else None,
        "aliases": alias,
    }
    given: dict[str, str | Sequence[str]] = {field: value for field, value in fields.items() if value}
    recordings = find_recordings(patterns, transcripts, neighbours=not no_transcripts)
    with Client(find_server(url, api_key)) as client:
        voice = send_recordings(client, "/voices", given, recordings)
        if consent_by is not None:
            attest(client, voice, consent_by, consent_text or "")
        finish(client, voice, patience=None if no_wait else timeout, as_json=as_json)


def send_recordings(
    client: Client, path: str, fields: Mapping[str, str | Sequence[str]], recordings: Sequence[RecordingFile]
) -> Mapping[str, Any]:
    """Send recordings with their transcripts; return the response.

    Raises:
        CommandError: A recording cannot be read, or the server rejects all of them.
    """
    form = dict(fields)
    if any(recording.transcript for recording in recordings):
        form["transcript"] = [recording.transcript for recording in recordings]
    then = f"the server is examining {len(recordings)} recording{'s' * (len(recordings) > 1)}"
    try:
        return upload(client, path, form, [r.path for r in recordings], field="samples", then=then)
    except KeyboardInterrupt:
        messages().print("Stopped before the server answered; it may have the recordings anyway.")
        raise


def attest(
    client: Client, voice: Mapping[str, Any], by: str, text: str, language: str | None = None
) -> Mapping[str, Any]:
    """Declare that the speaker of a voice consents; return the consent.

    Raises:
        CommandError: The request failed.
    """
    body = {"name": by, "text": text} | ({} if language is None else {"language": language})
    return client.send("POST", f"/voices/{voice['id']}/consent", body)


def finish(
    client: Client,
    voice: Mapping[str, Any],
    *,
    patience: float | None = TIMEOUT_SECONDS,
    as_json: bool = False,
) -> None:
    """Watch a voice until it is prepared, and show it with its recordings.

    Args:
        client: The server.
        voice: The voice, as returned by the change.
        patience: Maximum time to wait in seconds; ``None`` to show it at once.
        as_json: Whether to print JSON.

    Raises:
        CommandError: The voice is not ready, but has been shown.
    """
    where = f"/voices/{voice['id']}"
    if patience is None:
        voice = client.get(where)
    else:
        try:
            voice = watch(client, voice, patience)
        except KeyboardInterrupt:
            messages().print(
                "The voice is kept, and is still being prepared: "
                f"`awaaztwin voice show {voice['id']}` shows its progress."
            )
            raise
    show_voice(voice, client.get(f"{where}/samples").get("data", []), as_json=as_json)
    if patience is not None:
        check_ready(voice)


def show_voice(voice: Mapping[str, Any], samples: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print a voice with its recordings."""
    if as_json:
        print_json({**voice, "recordings": samples})
        return
    output().print(described(voice))
    if samples:
        output().print(quality(voice, samples))


def main() -> None:
    """Run ``awaaztwin-voice-create``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False, rich_markup_mode="markdown")
    app.command(name="awaaztwin-voice-create")(create)
    app(prog_name="awaaztwin-voice-create")


def _labels(given: Sequence[str]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for entry in given:
        name, sign, value = entry.partition("=")
        if not sign or not name:
            raise CommandError(f"'{entry}' is not NAME=VALUE.", status=USAGE)
        labels[name] = value
    return labels


def _check_consent(consent: str | None, by: str | None, text: str | None) -> None:
    if (by is None) != (text is None):
        raise CommandError("--consent-by and --consent-text go together.", status=USAGE)
    if by is None or text is None:
        return
    if consent is not None:
        raise CommandError("Name a consent, or declare one; not both.", status=USAGE)
    if not by.strip() or not text.strip():
        raise CommandError("A consent needs a name and a text.", status=USAGE)
