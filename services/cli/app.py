"""The commands of ``awaaztwin``."""

from typing import Annotated

import typer

from services import __version__
from services.cli import (
    config,
    db,
    doctor,
    engines,
    init,
    key,
    models,
    org,
    retention,
    say,
    serve,
    user,
    voices,
)
from services.cli.voice import app as voice

app = typer.Typer(
    name="awaaztwin",
    help="The OpenAI speech API on your own machine: text to speech and voice cloning.",
    epilog="Start with `awaaztwin serve`. If something fails, `awaaztwin doctor` says what to do.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
)
app.command("serve")(serve.serve)
app.command("say")(say.say)
app.command("voices")(voices.voices)
app.add_typer(voice.app, name="voice")
app.command("engines")(engines.engines)
app.add_typer(models.app, name="models")
app.add_typer(config.app, name="config")
app.command("init")(init.init)
app.add_typer(org.app, name="org")
app.add_typer(user.app, name="user")
app.add_typer(key.app, name="key")
app.add_typer(db.app, name="db")
app.add_typer(retention.app, name="retention")
app.command("doctor")(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"awaaztwin {__version__}")
        raise typer.Exit


@app.callback()
def _root(  # pyright: ignore[reportUnusedFunction] - typer calls it
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass
