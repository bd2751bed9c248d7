"""``awaaztwin voice preview``: speak a sentence in a voice."""

from typing import Annotated, Final

import typer

from services.cli.address import KeyOption, UrlOption, find_server
from services.cli.client import Client
from services.cli.console import reported
from services.cli.delivery import Delivery, FormatOption, OutOption, PlayOption
from services.cli.sink import terminable
from services.cli.voice.listing import VoiceArgument
from services.cli.voice.lookup import find_voice

TIMEOUT_SECONDS: Final = 120.0
"""Seconds to wait for the next audio."""


@reported()
def preview(  # noqa: PLR0913 - one parameter for each option
    voice: VoiceArgument,
    *,
    text: Annotated[
        str | None, typer.Option("--text", "-t", help="The text to speak; by default a sentence.")
    ] = None,
    engine: Annotated[str | None, typer.Option("--engine", help="The engine to use.")] = None,
    audio_format: FormatOption = None,
    out: OutOption = None,
    play: PlayOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Hear a voice: play a sentence in it, or write it to a file."""
    delivery = Delivery.checked(out, audio_format, play)
    given = {"text": text, "engine": engine}
    params = {name: value for name, value in given.items() if value is not None}
    with terminable(), Client(find_server(url, api_key), timeout=TIMEOUT_SECONDS) as client:
        path = f"/voices/{find_voice(client, voice)['id']}/preview"
        delivery.deliver(lambda form: client.download(path, {**params, "response_format": form}))
