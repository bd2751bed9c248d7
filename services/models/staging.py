"""The staging folder, which collects a model's files before their installation and keeps them for a retry."""

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from services.models.errors import WrongError
from services.models.folder import sha256_of, size_of
from services.models.manifest import ModelFile

TMP: Final = "tmp-"
"""Prefix of temporary folders' names."""


class Staging:
    """The staging folder of a model.

    ``files`` holds verified files, ``parts`` incomplete ones, and ``archives`` the archives to extract from.

    Args:
        folder: Path of the folder; created if missing.

    Raises:
        OSError: The folder cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "files"
        self.parts = folder / "parts"
        self.archives = folder / "archives"
        for place in (self.files, self.parts, self.archives):
            place.mkdir(parents=True, exist_ok=True)
        # Left by a killed pull, whose package manager may still be running.
        for left in folder.glob(f"{TMP}*"):
            shutil.rmtree(left, ignore_errors=True)

    @property
    def size(self) -> int:
        """Total size of the folder's files, in bytes."""
        return size_of(self.folder)

    def begun(self, files: Iterable[ModelFile]) -> int:
        """Return the number of bytes that incomplete files have so far."""
        return sum(part.stat().st_size for file in files if (part := self._part(file)).is_file())

    def give_back(self) -> None:
        """Remove everything but the verified files."""
        for place in (self.parts, self.archives):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(exist_ok=True)

    @contextmanager
    def tmp(self) -> Generator[Path, None, None]:
        """Create a temporary folder for one program; it is removed after the block."""
        folder = Path(tempfile.mkdtemp(prefix=TMP, dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def has(self, file: ModelFile) -> bool:
        """Whether the file is present and correct; an incorrect one is removed."""
        path = self.files / file.path
        if not path.is_file():
            return False
        if path.stat().st_size == file.size and sha256_of(path) == file.sha256:
            return True
        path.unlink()
        return False

    def put(self, file: ModelFile, pieces: Iterable[bytes]) -> None:
        """Write a file, and rename it to its final name once it is verified.

        Args:
            file: The expected file.
            pieces: Its contents; reading stops once they exceed the expected size.

        Raises:
            WrongError: The contents differ from the expected ones.
            OSError: The file cannot be written.
        """
        part = self.part(file)
        part.unlink(missing_ok=True)
        digest, size = hashlib.sha256(), 0
        try:
            with part.open("wb") as target:
                for piece in bounded(pieces, file):
                    size += len(piece)
                    digest.update(piece)
                    with writing(part):
                        target.write(piece)
                with writing(part):
                    target.flush()
            self.check(file, size, digest.hexdigest())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        self.accept(file)

    def part(self, file: ModelFile) -> Path:
        """Return the path of an incomplete file, and create its folder."""
        part = self._part(file)
        part.parent.mkdir(parents=True, exist_ok=True)
        return part

    def _part(self, file: ModelFile) -> Path:
        # With the hash, so that another manifest's file of the same path is not resumed.
        return self.parts / f"{file.path}.{file.sha256[:16]}.part"

    def prune(self, files: Iterable[ModelFile]) -> None:
        """Remove everything that belongs to none of ``files``, such as another manifest's leftovers."""
        kept = {path for file in files for path in (self.files / file.path, self._part(file))}
        for place in (self.files, self.parts):
            # Contents before their folders.
            for path in sorted(place.rglob("*"), reverse=True):
                if path.is_dir() and not path.is_symlink():
                    with contextlib.suppress(OSError):
                        path.rmdir()
                elif path not in kept:
                    path.unlink()

    def check(self, file: ModelFile, size: int, sha256: str) -> None:
        """Check a size and a hash against the expected ones.

        Raises:
            WrongError: They differ.
        """
        if size != file.size:
            raise WrongError(f"{file.path} has {size:,} bytes there instead of {file.size:,}")
        if sha256 != file.sha256:
            raise WrongError(f"{file.path} differs there (wrong SHA-256)")

    def accept(self, file: ModelFile) -> None:
        """Rename a complete part to its final name."""
        path, part = self.files / file.path, self.part(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("rb+") as contents, writing(part):
            os.fsync(contents.fileno())
        part.replace(path)

    def move_to(self, folder: Path) -> None:
        """Move the files to the model's folder and remove the staging folder.

        A new folder appears complete. In an existing one, files are replaced one by one, each atomically, so
        that readers never see an incomplete file.

        Raises:
            OSError: A file cannot be moved.
        """
        if not folder.exists():
            self.files.rename(folder)
        else:
            for path in sorted(path for path in self.files.rglob("*") if path.is_file()):
                target = folder / path.relative_to(self.files)
                target.parent.mkdir(parents=True, exist_ok=True)
                _move(path, target)
        self.clear()

    def clear(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _move(path: Path, target: Path) -> None:
    """Move a file atomically, also to another disk, to which the model's folder may be a link."""
    try:
        path.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = target.with_name(f".{target.name}.part")
        try:
            shutil.copyfile(path, part)
            with part.open("rb+") as contents:
                os.fsync(contents.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Generator[None, None, None]:
    """Add the file's name to an ``OSError`` of a write, which lacks it, to tell whose error it is."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def bounded(pieces: Iterable[bytes], file: ModelFile, before: int = 0) -> Iterator[bytes]:
    """Yield a file's contents, up to its expected size.

    Args:
        pieces: The contents.
        file: The expected file.
        before: Number of bytes received before.

    Raises:
        WrongError: There are more bytes than expected.
    """
    size = before
    for piece in pieces:
        size += len(piece)
        if size > file.size:
            raise WrongError(f"{file.path} is larger there than the {file.size:,} bytes it should have")
        yield piece
