"""Files and folders that no other user of this machine can read.

Uses POSIX modes. On other systems access rights are inherited from the folder, and modes are not checked.
"""

import os
import stat
from pathlib import Path
from typing import Final

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
OTHERS: Final = 0o077


def make_private_folder(folder: Path) -> None:
    """Create a folder and its missing parents, accessible only to this user; existing ones are unchanged.

    Raises:
        OSError: The folder cannot be created, or the path is not a folder.
    """
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=FOLDER_MODE, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(folder))


def private_opener(name: str, flags: int) -> int:
    """Open a file for :func:`open`; a new file is accessible only to this user."""
    return os.open(name, flags, FILE_MODE)


def is_exposed(path: Path) -> bool:
    """Whether other users have any permission on ``path`` itself; parent folders are not considered."""
    if os.name != "posix":
        return False
    try:
        return bool(path.stat().st_mode & OTHERS)
    except OSError:
        return False


def tighten(path: Path) -> None:
    """Remove other users' permissions on a file or folder that this user owns; ignore symbolic links."""
    if os.name != "posix":
        return
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid() or not found.st_mode & OTHERS:
            return
        path.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)
    except OSError:
        # Removed meanwhile, or the disk is read-only or has no modes: `awaaztwin doctor` reports it.
        return
