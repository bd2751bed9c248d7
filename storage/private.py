"""Files and folders that nobody else on this machine may read.

Modes are POSIX's; elsewhere a folder inherits who may read it, and nothing is done here.
"""

import os
import stat
from pathlib import Path
from typing import Final

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
OTHERS: Final = 0o077


def make_private_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, for this user only; what is there stays so.

    Raises:
        OSError: It cannot be made, or is none.
    """
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=FOLDER_MODE, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(folder))


def private_opener(name: str, flags: int) -> int:
    """For :func:`open`: a file that it makes is for this user only."""
    return os.open(name, flags, FILE_MODE)


def is_exposed(path: Path) -> bool:
    """Whether others on this machine may read or enter what is at ``path``, but for folders above."""
    if os.name != "posix":
        return False
    try:
        return bool(path.stat().st_mode & OTHERS)
    except OSError:
        return False


def tighten(path: Path) -> None:
    """Take from others what they may do with a file or folder of this user's; a link is left alone."""
    if os.name != "posix":
        return
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid() or not found.st_mode & OTHERS:
            return
        path.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)
    except OSError:
        # It is gone, or on a disk that is read only or knows no modes: `awaaztwin doctor` tells.
        return
