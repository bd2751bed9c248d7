"""Where a model's files are gathered before they take their place; the next try goes on from there."""

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
"""What names of temporary folders begin with."""


class Staging:
    """A folder of files on their way.

    ``files`` has those that are complete and right, ``parts`` those that are half there, ``archives`` what
    they are taken from.

    Args:
        folder: The folder; made when it is not there.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "files"
        self.parts = folder / "parts"
        self.archives = folder / "archives"
        for place in (self.files, self.parts, self.archives):
            place.mkdir(parents=True, exist_ok=True)
        # Of a pull that was killed; its package manager may still run.
        for left in folder.glob(f"{TMP}*"):
            shutil.rmtree(left, ignore_errors=True)

    @property
    def size(self) -> int:
        """What is there already."""
        return size_of(self.folder)

    def begun(self, files: Iterable[ModelFile]) -> int:
        """Bytes that are there of files that have not come."""
        return sum(part.stat().st_size for file in files if (part := self._part(file)).is_file())

    def give_back(self) -> None:
        """Remove all but the files that have come."""
        for place in (self.parts, self.archives):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(exist_ok=True)

    @contextmanager
    def tmp(self) -> Generator[Path, None, None]:
        """A folder for what a program leaves while it works, and nobody else's; removed after the block."""
        folder = Path(tempfile.mkdtemp(prefix=TMP, dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def has(self, file: ModelFile) -> bool:
        """Whether the file has come, complete and right; one that is not is removed."""
        path = self.files / file.path
        if not path.is_file():
            return False
        if path.stat().st_size == file.size and sha256_of(path) == file.sha256:
            return True
        path.unlink()
        return False

    def put(self, file: ModelFile, pieces: Iterable[bytes]) -> None:
        """Write a file; it takes its name when it is complete and right.

        Args:
            file: What it must be.
            pieces: Its contents; no more of them are taken than it is large.

        Raises:
            WrongError: They are something else.
            OSError: The disk does not take it.
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
        """Where a file is while it is not complete."""
        part = self._part(file)
        part.parent.mkdir(parents=True, exist_ok=True)
        return part

    def _part(self, file: ModelFile) -> Path:
        # With its hash: the file of that path of another manifest is not gone on with.
        return self.parts / f"{file.path}.{file.sha256[:16]}.part"

    def prune(self, files: Iterable[ModelFile]) -> None:
        """Remove what belongs to none of the files: it came for another manifest of that name."""
        kept = {path for file in files for path in (self.files / file.path, self._part(file))}
        for place in (self.files, self.parts):
            # The contents of folders before these.
            for path in sorted(place.rglob("*"), reverse=True):
                if path.is_dir() and not path.is_symlink():
                    with contextlib.suppress(OSError):
                        path.rmdir()
                elif path not in kept:
                    path.unlink()

    def check(self, file: ModelFile, size: int, sha256: str) -> None:
        """See that contents of that size and hash are the file's.

        Raises:
            WrongError: They are not.
        """
        if size != file.size:
            raise WrongError(f"{file.path} has {size:,} bytes there instead of {file.size:,}")
        if sha256 != file.sha256:
            raise WrongError(f"{file.path} differs there (wrong SHA-256)")

    def accept(self, file: ModelFile) -> None:
        """Give the complete part its name."""
        path, part = self.files / file.path, self.part(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("rb+") as contents, writing(part):
            os.fsync(contents.fileno())
        part.replace(path)

    def move_to(self, folder: Path) -> None:
        """Put the files in their place and remove the rest.

        A new folder comes into being whole. In one that is there, each file is replaced by itself, so that no
        reader finds half of one.

        Raises:
            OSError: It cannot be done.
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
        """Remove all that is there."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _move(path: Path, target: Path) -> None:
    """Give a file its place at once, on another disk too, where the model's folder may be a link to one."""
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
    """Gives an error of the system the file's name, which writes leave out: it tells whose error it is."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def bounded(pieces: Iterable[bytes], file: ModelFile, before: int = 0) -> Iterator[bytes]:
    """The contents of a file as they come, until they are more than it is large.

    Args:
        pieces: The contents.
        file: What they should be.
        before: Bytes of it that came before.

    Raises:
        WrongError: They are more.
    """
    size = before
    for piece in pieces:
        size += len(piece)
        if size > file.size:
            raise WrongError(f"{file.path} is larger there than the {file.size:,} bytes it should have")
        yield piece
