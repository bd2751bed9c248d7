"""Audio formats on the command line: suffixes, and durations of data."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from services.audio.codings import Uncompressed
from services.audio.formats import FORMATS

PCM_RATE: Final = FORMATS["pcm"].default_rate
"""Hertz of the format ``pcm``: mono, signed 16-bit, little-endian."""

SUFFIXES: Final[Mapping[str, str]] = {
    suffix: one.name
    for one in FORMATS.values()
    if not one.exact  # `.wav` is PCM
    for suffix in (one.extension, *one.other_extensions)
}
"""File suffix → format to request."""

RAW_RATES: Final[Mapping[str, int]] = {
    one.name: one.coding.width * one.default_rate
    for one in FORMATS.values()
    if isinstance(one.coding, Uncompressed) and not one.wav
}
"""Bytes of a second of audio, of the formats without a header."""

WAV_HEAD: Final = 32
"""Bytes of a WAV file that hold its byte rate."""

UNKNOWN_SIZE: Final = 0xFFFF_FFFF
"""In the header of a WAV file that was streamed."""

MAX_CHUNKS: Final = 16
"""Most chunks of a WAV file that are searched for its samples."""


def format_of(path: Path) -> str | None:
    """The format of a file's suffix, if it is known."""
    return SUFFIXES.get(path.suffix.lower())


def byte_rate(audio_format: str, head: bytes) -> int | None:
    """Bytes of a second of audio.

    Args:
        audio_format: The requested format.
        head: The first bytes, at least :data:`WAV_HEAD` of them for WAV.

    Returns:
        ``None`` if only a decoder could tell.
    """
    if head[:4] == b"RIFF" and head[8:16] == b"WAVEfmt " and len(head) >= WAV_HEAD:
        return struct.unpack_from("<I", head, 28)[0] or None
    return RAW_RATES.get(audio_format)


def settle_wav(file: BinaryIO) -> None:
    """Write the sizes into a WAV file that was streamed without knowing them.

    Many players do without them, telephone systems do not. Other files are unchanged.

    Args:
        file: Open for reading and writing, seekable.
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    if size > UNKNOWN_SIZE or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return
    position = 12
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        header = file.read(8)
        if len(header) < len(b"datasize"):
            return
        name, length = struct.unpack("<4sI", header)
        if name == b"data":
            if length == UNKNOWN_SIZE:
                file.seek(position + 4)
                file.write(struct.pack("<I", size - position - 8))
                file.seek(4)
                file.write(struct.pack("<I", size - 8))
            return
        position += 8 + length + length % 2
