"""``awaaztwin say`` and ``awaaztwin-say``: speak a text to a player or a file."""

from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.address import KeyOption, UrlOption, find_server
from services.cli.client import Client
from services.cli.console import reported
from services.cli.delivery import Delivery, FormatOption, OutOption, PlayOption
from services.cli.sink import terminable
from services.cli.text import read_text

SLOWEST: Final = 0.25
FASTEST: Final = 4.0
TIMEOUT_SECONDS: Final = 120.0
"""Seconds to wait for the next audio; servers have shorter timeouts, with better errors."""


@reported()
def say(  # noqa: PLR0913 - one parameter for each option
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", help="The text to speak; `-` reads it from standard input."),
    ] = None,
    *,
    text_option: Annotated[
        str | None, typer.Option("--text", "-t", help="The text to speak; it can start with `-`.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read the text from a file; `-` is standard input.")
    ] = None,
    voice: Annotated[
        str, typer.Option("--voice", "--voice-id", "-v", help="A voice's id; `awaaztwin voices` lists them.")
    ] = "alloy",
    language: Annotated[
        str | None,
        typer.Option(
            "--language",
            "-l",
            help="Language of the text, such as `hi`; by default the voice's own, or detected.",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="An engine's name, or one of OpenAI's model names.")
    ] = "tts-1",
    speed: Annotated[
        float, typer.Option("--speed", "-s", min=SLOWEST, max=FASTEST, help="Rate of speech.")
    ] = 1.0,
    audio_format: FormatOption = None,
    out: OutOption = None,
    play: PlayOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Speak a text: play the audio as it arrives, or write it to a file."""
    delivery = Delivery.checked(out, audio_format, play)
    request: dict[str, object] = {
        "model": model,
        "voice": voice,
        "input": read_text(text, text_option, file),
        "speed": speed,
    }
    if language is not None:
        request["language"] = language
    with terminable(), Client(find_server(url, api_key), timeout=TIMEOUT_SECONDS) as client:
        delivery.deliver(lambda audio_format: client.speech({**request, "response_format": audio_format}))


def main() -> None:
    """Run ``awaaztwin-say``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False, rich_markup_mode="markdown")
    app.command(name="awaaztwin-say")(say)
    app(prog_name="awaaztwin-say")
