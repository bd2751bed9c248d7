"""Models on disk: one folder per model, below a common root."""

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
"""Number of bytes read at once."""


_ABSENT: Final = "is missing"


class ModelState(StrEnum):
    """How much of a model is present, judged by the sizes of its files."""

    ABSENT = "absent"
    INCOMPLETE = "incomplete"
    PRESENT = "present"


class ModelFolder:
    """The folder that holds all models.

    Args:
        root: Path of the folder (``models.folder``); it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def path(self, manifest: Manifest) -> Path:
        """Return the path of a model's folder, which need not exist."""
        return self.root / manifest.name

    def staging(self, manifest: Manifest) -> Path:
        """Return the path of the staging folder, which holds the files of a running or interrupted pull."""
        return self.root / f".partial-{manifest.name}"

    def declined(self, manifest: Manifest) -> Path:
        """Return the path of the marker for a declined model, which the user is not asked about again."""
        return self.root / f".declined-{manifest.name}"

    def failed(self, manifest: Manifest) -> Path:
        """Return the path of the marker for a failed pull, which ``--once`` retries after a day."""
        return self.root / f".failed-{manifest.name}"

    def settle(self, manifest: Manifest) -> None:
        """Remove the markers :meth:`declined` and :meth:`failed`.

        Raises:
            OSError: A marker cannot be removed.
        """
        for mark in (self.declined(manifest), self.failed(manifest)):
            mark.unlink(missing_ok=True)

    def lacking(self, manifest: Manifest) -> tuple[ModelFile, ...]:
        """Return a model's files that are missing or have the wrong size; their contents are not read.

        Raises:
            ModelError: The folder cannot be read.
        """
        folder = self.path(manifest)
        return tuple(file for file in manifest.files if wrong_size(folder / file.path, file) is not None)

    def state(self, manifest: Manifest) -> ModelState:
        """Return how much of a model is present; optional files do not count.

        Raises:
            ModelError: The folder cannot be read.
        """
        if not any(not file.optional for file in self.lacking(manifest)):
            return ModelState.PRESENT
        with readable(self.path(manifest)):
            return ModelState.INCOMPLETE if self.path(manifest).exists() else ModelState.ABSENT

    def damaged(self, manifest: Manifest) -> Iterator[tuple[ModelFile, str]]:
        """Yield the files that differ from the manifest, each with the problem; every byte is read.

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
    """Compute the SHA-256 of a file's contents, in hexadecimal.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_of(folder: Path) -> int:
    """Return the total size of the files in a folder, in bytes; files that vanish meanwhile do not count."""
    total = 0
    # Unlike pathlib's walk, this one tolerates folders that vanish meanwhile.
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(where) / name).lstat().st_size
    return total


def wrong_size(path: Path, file: ModelFile) -> str | None:
    """Describe how a path differs from the file, judged by its size; ``None`` if it does not.

    The description is a predicate, such as "is missing".

    Raises:
        ModelError: The path cannot be read.
    """
    with readable(path):
        if not path.is_file():
            return _ABSENT
        size = path.stat().st_size
        return None if size == file.size else f"has {size:,} bytes instead of {file.size:,}"


@contextmanager
def readable(path: Path) -> Generator[None, None, None]:
    """Raise a ``ModelError`` for an ``OSError`` in the block: the state of ``path`` is unknown."""
    try:
        yield
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
