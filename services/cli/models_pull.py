"""Fetching a model for a person: with a bar, or offered first."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from services.cli.console import CommandError, messages
from services.cli.models_meter import Bar
from services.cli.requirements import INSTALL_SERVER, missing
from services.cli.sink import terminable
from services.config import Settings
from services.models.errors import ModelError
from services.models.folder import ModelFolder, ModelState
from services.models.manifest import Manifest
from services.models.meter import Quiet
from services.models.placing import models_of_engines

if TYPE_CHECKING:
    from services.models.pull import Pulled


@contextmanager
def model_errors() -> Generator[None, None, None]:
    """What is wrong with models ends the command."""
    try:
        yield
    except ModelError as error:
        raise CommandError(error.message, error.hint) from error


def fetch(
    manifest: Manifest, folder: ModelFolder, *, quiet: bool, accept: str | None = None, force: bool = False
) -> "Pulled":
    """Pull a model, and show how far it is.

    Raises:
        CommandError: This installation cannot.
        ModelError: It does not come.
    """
    if absent := missing():
        raise CommandError(f"This needs what is not installed: {', '.join(absent)}.", INSTALL_SERVER)
    from services.models.pull import pull  # noqa: PLC0415 - in the extra `server`

    # A package manager that downloads is a process of its own, which would outlive this one.
    with terminable():
        if quiet:
            return pull(manifest, folder, Quiet(), accept=accept, force=force)
        with Bar(messages()) as bar:
            return pull(manifest, folder, bar, accept=accept, force=force)


def offer(settings: Settings) -> None:
    """Offer to fetch what the engines lack, on a terminal; elsewhere only say so. Once for each model.

    Raises:
        CommandError: A manifest is wrong.
    """
    folder = ModelFolder(settings.models.folder)
    with model_errors():
        absent = [
            manifest
            for _, manifest in models_of_engines(settings)
            # One whose licence has to be read is not for a yes in passing.
            if manifest.notice is None and folder.state(manifest) is not ModelState.PRESENT
        ]
    for manifest in absent:
        if not folder.mark(manifest).exists():
            _offer(manifest, folder)


def put_off(manifest: Manifest, folder: ModelFolder) -> None:
    """Remember that the model was offered, or fetched in vain; a folder that cannot be written forgets it."""
    try:
        folder.root.mkdir(parents=True, exist_ok=True)
        folder.mark(manifest).touch()
    except OSError:
        return


def later(manifest: Manifest, reason: str | None = None) -> str:
    """A line that says what is missing, why, and how it is had later."""
    why = f" ({reason.rstrip('.')})" if reason else ""
    return f"{manifest.title} is not here{why}; `awaaztwin models pull {manifest.name}` fetches it."


def _offer(manifest: Manifest, folder: ModelFolder) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        messages().print(Text(later(manifest)))
        return
    put_off(manifest, folder)
    question = (
        f"{manifest.title} ({manifest.license}) is not here yet. Fetch it now, {manifest.size / 1e6:.0f} MB?"
    )
    if not typer.confirm(question, default=False, err=True):
        messages().print(Text(later(manifest)))
        return
    try:
        fetch(manifest, folder, quiet=False)
    except ModelError as error:
        messages().print(Text(later(manifest, error.reason)))
