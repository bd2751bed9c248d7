"""Models on the disk: a folder of each, all below one."""

import contextlib
import hashlib
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from services.models.errors import ModelError
from services.models.manifest import Manifest, ModelFile

PIECE: Final = 1_048_576
"""Bytes read at once."""


_ABSENT: Final = "is missing"


class ModelState(StrEnum):
    """How much of a model is there, by the sizes of its files."""

    ABSENT = "absent"
    INCOMPLETE = "incomplete"
    PRESENT = "present"


class ModelFolder:
    """Where models lie.

    Args:
        root: The folder, ``models.folder``; need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def path(self, manifest: Manifest) -> Path:
        """The model's folder, whether it is there or not."""
        return self.root / manifest.name

    def staging(self, manifest: Manifest) -> Path:
        """What has come of a model that is being pulled, or whose pull was cut off."""
        return self.root / f".partial-{manifest.name}"

    def declined(self, manifest: Manifest) -> Path:
        """A file that is there once somebody was asked and did not want the model: nobody is asked twice."""
        return self.root / f".declined-{manifest.name}"

    def failed(self, manifest: Manifest) -> Path:
        """A file that is there once it was fetched in vain, which `--once` tries again after a day."""
        return self.root / f".failed-{manifest.name}"

    def settle(self, manifest: Manifest) -> None:
        """Forget that it was declined or failed.

        Raises:
            OSError: It cannot be forgotten.
        """
        for mark in (self.declined(manifest), self.failed(manifest)):
            mark.unlink(missing_ok=True)

    def lacking(self, manifest: Manifest) -> tuple[ModelFile, ...]:
        """Its files that are not there, or of another size; looks at the disk, reads nothing.

        Raises:
            ModelError: The disk does not say.
        """
        folder = self.path(manifest)
        return tuple(file for file in manifest.files if wrong_size(folder / file.path, file) is not None)

    def state(self, manifest: Manifest) -> ModelState:
        """How much of it is there; optional files do not count.

        Raises:
            ModelError: The disk does not say.
        """
        if not any(not file.optional for file in self.lacking(manifest)):
            return ModelState.PRESENT
        with readable(self.path(manifest)):
            return ModelState.INCOMPLETE if self.path(manifest).exists() else ModelState.ABSENT

    def damaged(self, manifest: Manifest) -> Iterator[tuple[ModelFile, str]]:
        """Its files that are not as the manifest says, each with what is wrong; every byte is read.

        Raises:
            ModelError: A file cannot be read.
        """
        for file in manifest.files:
            path = self.path(manifest) / file.path
            problem = wrong_size(path, file)
            if problem == _ABSENT and file.optional:
                continue
            with readable(path):
                if problem is None and sha256_of(path) != file.sha256:
                    problem = "has the wrong contents"
            if problem is not None:
                yield file, problem


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's contents, hexadecimal.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder; of what vanishes meanwhile, none."""
    total = 0
    # Unlike pathlib's own, this walk takes it that a folder is gone when its turn comes.
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(where) / name).lstat().st_size
    return total


def wrong_size(path: Path, file: ModelFile) -> str | None:
    """Why a path is not the file, by its size: the end of a sentence; ``None`` where it may be it.

    Raises:
        ModelError: The disk does not say.
    """
    with readable(path):
        if not path.is_file():
            return _ABSENT
        size = path.stat().st_size
        return None if size == file.size else f"has {size:,} bytes instead of {file.size:,}"


@contextmanager
def readable(path: Path) -> Generator[None, None, None]:
    """What the disk refuses is told: nothing is known of what it may hold."""
    try:
        yield
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
