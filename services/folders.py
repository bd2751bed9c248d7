"""The folders that a server writes to, which are created, checked and made private before it starts."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from services.config import LoadedSettings, Settings
from services.config.mask import MASK, flatten
from services.host.folder import RuntimeFolderError, runtime_folder
from storage.database import Database
from storage.private import OTHERS, make_private_folder, tighten

BENTOML_HOME: Final = "BENTOML_HOME"

SQLITE_FILES: Final = ("", "-wal", "-shm", "-journal")
"""Suffixes of the names of SQLite's files."""


class FolderError(Exception):
    """A folder cannot be used. The message is one line that names the folder and its setting."""


def prepare_folders(loaded: LoadedSettings) -> None:
    """Create the server's folders, check that they are writable, and make the server's own files private.

    Afterwards, this process and its children create files and folders that only this user can access.

    Raises:
        FolderError: A folder cannot be created or written.
    """
    if os.name == "posix":
        os.umask(OTHERS)
    config = loaded.settings
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise FolderError("No folder for temporary files can be written: set TMPDIR.") from error
    for setting, folder in data_folders(config):
        _check_folder(setting, folder)
    if (database := database_file(config)) is not None and database.exists():
        _check_file("storage.db_url", database)
    if config.server.runtime_folder is not None:
        try:
            tighten(runtime_folder(config))
        except RuntimeFolderError as error:
            raise FolderError(str(error)) from error
    for path in private_paths(loaded):
        tighten(path)


def data_folders(config: Settings) -> Iterator[tuple[str, Path]]:
    """Yield the local folders of the database and the objects, each with the name of its setting."""
    if (database := database_file(config)) is not None:
        yield "storage.db_url", database.parent
    if config.storage.object_store.type == "folder":
        yield "storage.object_store.path", config.storage.object_store.path.absolute()


def database_file(config: Settings) -> Path | None:
    """Return SQLite's file; ``None`` for another database, or one in memory."""
    return Database(config.storage.db_url.get_secret_value()).file


def private_paths(loaded: LoadedSettings) -> Iterator[Path]:
    """Yield the server's existing private files: its data, and settings files that contain secrets."""
    config = loaded.settings
    if (database := database_file(config)) is not None:
        paths = (database.with_name(f"{database.name}{end}") for end in SQLITE_FILES)
        yield from (path for path in paths if path.exists())
    if config.storage.object_store.type == "folder" and config.storage.object_store.path.exists():
        yield config.storage.object_store.path.absolute()
    secret = {
        loaded.sources[".".join(path)].rpartition(":")[0]
        for path, value in flatten(loaded.masked())
        if isinstance(value, str) and MASK in value and ".".join(path) in loaded.sources
    }
    yield from (file for file in loaded.files if file.name in secret or file.name == ".env")


def bentoml_home(environ: Mapping[str, str], config: Settings) -> Path | None:
    """Return a folder for BentoML's own files if its default is not writable; ``None`` if it is.

    Raises:
        RuntimeFolderError: No other folder is usable either.
    """
    named = environ.get(BENTOML_HOME)
    usual = Path(os.path.expandvars(named)).expanduser() if named else Path.home() / "bentoml"
    needed = [usual, *(usual / name for name in ("bentos", "models", "envs", "tmp"))]
    if all(_writable(_nearest(folder)) for folder in needed):
        return None
    return runtime_folder(config) / "bentoml"


def _check_folder(setting: str, folder: Path) -> None:
    try:
        make_private_folder(folder)
    except OSError as error:
        raise FolderError(f"{setting}: the folder {folder} cannot be created: {error.strerror}.") from error
    if not _writable(folder):
        raise FolderError(f"{setting}: the folder {folder} cannot be written by this user.")


def _check_file(setting: str, file: Path) -> None:
    if not file.is_file() or not os.access(file, os.R_OK | os.W_OK):
        raise FolderError(f"{setting}: {file} cannot be written by this user, or is not a file.")


def _nearest(folder: Path) -> Path:
    """Return the folder, or its nearest existing parent."""
    return next(one for one in (folder, *folder.absolute().parents) if one.exists())


def _writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
