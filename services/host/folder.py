"""The runtime folder of a server's processes, for locks and for files that outlive a process."""

import getpass
import os
import stat
import tempfile
from pathlib import Path

from services.config import Settings


class RuntimeFolderError(RuntimeError):
    """The runtime folder cannot be used; the message names the folder and the remedy."""


def runtime_folder(settings: Settings) -> Path:
    """Return the server's runtime folder; if it does not exist, create it for this user only.

    Raises:
        RuntimeFolderError: The folder cannot be created, or belongs to another user.
    """
    folder = settings.server.runtime_folder
    if folder is not None:
        _private(folder.absolute(), parents=True)
        return folder.absolute()
    # All users can write to the temporary folder, so another user may have planted this one.
    user = _private(Path(tempfile.gettempdir()) / f"awaaztwin-{_user()}")
    return _private(user / str(settings.server.port))


def _private(folder: Path, *, parents: bool = False) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=parents, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise RuntimeFolderError(
            f"The runtime folder {folder} cannot be created: {error.strerror}. Set server.runtime_folder."
        ) from error
    ours = os.name != "posix" or found.st_uid == os.getuid()
    if not ours or not (parents or stat.S_ISDIR(found.st_mode)):
        raise RuntimeFolderError(f"{folder} belongs to another user. Set server.runtime_folder.")
    return folder


def _user() -> str:
    return str(os.getuid()) if os.name == "posix" else getpass.getuser()
