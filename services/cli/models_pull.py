"""Fetching of models by the user: with a progress bar, or after an offer."""

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

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

RETRY_SECONDS: Final = 86_400.0
"""Seconds after which a failed fetch may be retried automatically."""


@contextmanager
def model_errors() -> Generator[None, None, None]:
    """Turn errors of models into errors of commands."""
    try:
        yield
    except ModelError as error:
        raise CommandError(error.message, error.hint) from error


def require_server() -> None:
    """Check that the packages for changing models are installed.

    Raises:
        CommandError: A package is missing.
    """
    if absent := missing():
        raise CommandError(f"Packages are missing: {', '.join(absent)}.", INSTALL_SERVER)


def fetch(
    manifest: Manifest, folder: ModelFolder, *, quiet: bool, accept: str | None = None, force: bool = False
) -> "Pulled":
    """Fetch a model, and show the progress.

    Raises:
        CommandError: The server's packages are not installed.
        ModelError: The model cannot be fetched.
    """
    require_server()
    from services.models.pull import pull  # noqa: PLC0415 - in the extra `server`

    # Terminable, because a package manager is a separate process that would outlive this one.
    with terminable():
        if quiet:
            return pull(manifest, folder, Quiet(), accept=accept, force=force)
        with Bar(messages()) as bar:
            return pull(manifest, folder, bar, accept=accept, force=force)


def offer(settings: Settings) -> None:
    """Print the models that engines lack; on a terminal, offer once per model to fetch it.

    Raises:
        CommandError: A manifest is invalid.
    """
    folder = ModelFolder(settings.models.folder)
    with model_errors():
        # A restrictive licence should not be accepted in passing.
        wanted = [manifest for _, manifest in models_of_engines(settings) if manifest.notice is None]
    for manifest in wanted:
        try:
            absent = folder.state(manifest) is not ModelState.PRESENT
        except ModelError as error:
            # The server starts anyway.
            messages().print(Text(error.message))
            continue
        if absent:
            _offer(manifest, folder)


def put_off(manifest: Manifest, folder: ModelFolder) -> bool:
    """Whether not to fetch the model now: it was declined, or a fetch failed within a day."""
    try:
        since = time.time() - folder.failed(manifest).stat().st_mtime
    except OSError:
        since = RETRY_SECONDS
    # The clock may have been set back. `os.path.exists` returns false for what cannot be read.
    return 0 <= since < RETRY_SECONDS or os.path.exists(folder.declined(manifest))  # noqa: PTH110


def remember(mark: Path) -> None:
    """Create or renew a mark; does nothing if the folder is not writable."""
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError:
        return


def later(manifest: Manifest, reason: str | None = None) -> str:
    """Return a line that says which model is missing, why, and how to fetch it later."""
    why = f" ({reason.rstrip('.')})" if reason else ""
    return f"{manifest.title} is not installed{why}; `awaaztwin models pull {manifest.name}` fetches it."


def _offer(manifest: Manifest, folder: ModelFolder) -> None:
    if put_off(manifest, folder) or not (sys.stdin.isatty() and sys.stderr.isatty()):
        messages().print(Text(later(manifest)))
        return
    # Before the question, so that Ctrl-C counts as an answer.
    remember(folder.declined(manifest))
    question = (
        f"{manifest.title} ({manifest.license}) is not installed. Fetch it now, {manifest.size / 1e6:.0f} MB?"
    )
    if not typer.confirm(question, default=False, err=True):
        messages().print(Text(later(manifest)))
        return
    with suppress(OSError):
        folder.settle(manifest)
    try:
        fetch(manifest, folder, quiet=False)
    except ModelError as error:
        remember(folder.failed(manifest))
        messages().print(Text(later(manifest, error.reason)))
