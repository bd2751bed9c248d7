"""Detection of truncated files by their structure, without decoding."""

import os
import struct
from typing import BinaryIO, Final

from services.samples.errors import BadSample
from services.samples.sniff import Container

_STREAMED: Final = 0x7FFF_0000
"""Size from which on a wav's data chunk extends to the end of the file: its writer could not seek back."""
_SLACK: Final = 4_096
"""Number of bytes that may be missing at the end of a wav; some recorders count their header wrongly."""
_PARTS: Final = 1_000
"""Maximum number of chunks or boxes inspected."""
_PAGE: Final = 27
"""Size in bytes of an Ogg page's header, without its segment table."""
_LARGEST_PAGE: Final = _PAGE + 255 + 255 * 255


def check_whole(file: BinaryIO, kind: Container) -> None:
    """Check that the file is as long as its headers declare.

    Raises:
        BadSample: The file is cut off, or has no samples.
    """
    size = file.seek(0, os.SEEK_END)
    match kind.container:
        case "wav":
            _check_wav(file, kind.start, size)
        case "mp4":
            _check_mp4(file, kind.start, size)
        case "ogg":
            _check_ogg(file, size)
        case _:
            pass  # only decoding can tell


def truncated(what: str) -> BadSample:
    """Build the error for a file that is cut off."""
    return BadSample("truncated", f"The file is cut off: {what}. Upload the whole file again.")


def _check_wav(file: BinaryIO, start: int, size: int) -> None:
    at = start + 12
    for _ in range(_PARTS):
        file.seek(at)
        header = file.read(8)
        if len(header) < 8:  # noqa: PLR2004 - a chunk's header
            break
        name, length = struct.unpack("<4sI", header)
        if name == b"data":
            missing = at + 8 + length - size
            if length < _STREAMED and missing > max(_SLACK, length // 100):
                raise truncated(f"{missing} of {length} bytes of samples are missing")
            if size - at - 8 <= 0:
                raise BadSample("empty", "The wav file has a header and no samples.")
            return
        at += 8 + length + length % 2
    if at - 8 > size:
        raise truncated("it ends inside a header")
    raise BadSample("empty", "The wav file has no samples.")


def _check_mp4(file: BinaryIO, start: int, size: int) -> None:
    at, found = start, False
    for _ in range(_PARTS):
        file.seek(at)
        header = file.read(16)
        if len(header) < 8:  # noqa: PLR2004 - a box's header
            break
        length, name = struct.unpack(">I4s", header[:8])
        if length == 1 and len(header) == 16:  # noqa: PLR2004 - a header with a long size
            length = int.from_bytes(header[8:], "big")
        elif length == 0:
            length = size - at
        found = found or name == b"moov"
        if length < 8:  # noqa: PLR2004 - as above
            break  # not a box; the demuxer reports it
        if at + length > size:
            raise truncated(f"{at + length - size} bytes are missing")
        at += length
    if not found:
        raise truncated("its table of contents (moov) is missing, so the recording was not finished")


def _check_ogg(file: BinaryIO, size: int) -> None:
    at = max(0, size - 2 * _LARGEST_PAGE)
    file.seek(at)
    tail = file.read()
    page = tail.rfind(b"OggS")
    # The magic may occur inside a page by chance; then the next byte, the version, is unlikely to be 0.
    while page > 0 and tail[page + 4 : page + 5] not in (b"\0", b""):
        page = tail.rfind(b"OggS", 0, page)
    if page < 0:
        return
    segments = tail[page + _PAGE - 1 : page + _PAGE]
    table = tail[page + _PAGE : page + _PAGE + (segments[0] if segments else 0)]
    if not segments or len(table) < segments[0] or page + _PAGE + len(table) + sum(table) > len(tail):
        raise truncated("its last page is incomplete")
