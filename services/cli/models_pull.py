"""Fetches models interactively: with a progress bar, or after an offer."""

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
"""Seconds after which a failed fetch is retried automatically."""


@contextmanager
def model_errors() -> Generator[None, None, None]:
    """Turns errors of models into a command's error."""
    try:
        yield
    except ModelError as error:
        raise CommandError(error.message, error.hint) from error


def require_server() -> None:
    """Check that the packages for changing models are installed.

    Raises:
        CommandError: They are not.
    """
    if absent := missing():
        raise CommandError(f"Packages are missing: {', '.join(absent)}.", INSTALL_SERVER)


def fetch(
    manifest: Manifest, folder: ModelFolder, *, quiet: bool, accept: str | None = None, force: bool = False
) -> "Pulled":
    """Pull a model, and show the progress.

    Raises:
        CommandError: This installation cannot.
        ModelError: It cannot be fetched.
    """
    require_server()
    from services.models.pull import pull  # noqa: PLC0415 - in the extra `server`

    # A package manager is a separate process, which would outlive this one.
    with terminable():
        if quiet:
            return pull(manifest, folder, Quiet(), accept=accept, force=force)
        with Bar(messages()) as bar:
            return pull(manifest, folder, bar, accept=accept, force=force)


def offer(settings: Settings) -> None:
    """Print what the engines lack; on a terminal, offer once per model to fetch it.

    Raises:
        CommandError: A manifest is wrong.
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
    """Whether the model was declined, or its fetch failed, within a day: not to be offered or tried now."""
    try:
        since = time.time() - folder.failed(manifest).stat().st_mtime
    except OSError:
        since = RETRY_SECONDS
    # A clock may have been ahead. `os.path` takes what cannot be read for what is not there.
    return 0 <= since < RETRY_SECONDS or os.path.exists(folder.declined(manifest))  # noqa: PTH110


def remember(mark: Path) -> None:
    """Create or renew a mark; without effect in an unwritable folder."""
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError:
        return


def later(manifest: Manifest, reason: str | None = None) -> str:
    """A line that says what is missing, why, and how to fetch it later."""
    why = f" ({reason.rstrip('.')})" if reason else ""
    return f"{manifest.title} is not installed{why}; `awaaztwin models pull {manifest.name}` fetches it."


def _offer(manifest: Manifest, folder: ModelFolder) -> None:
    if put_off(manifest, folder) or not (sys.stdin.isatty() and sys.stderr.isatty()):
        messages().print(Text(later(manifest)))
        return
    # Ctrl-C at the question also is an answer.
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
