"""Audio formats for the command line: file suffixes, byte rates and WAV headers."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from services.audio.codings import Uncompressed
from services.audio.formats import FORMATS

PCM_RATE: Final = FORMATS["pcm"].default_rate
"""Sample rate in hertz of the format ``pcm``: mono, signed 16-bit, little-endian."""

SUFFIXES: Final[Mapping[str, str]] = {
    suffix: one.name
    for one in FORMATS.values()
    if not one.exact  # `.wav` is PCM
    for suffix in (one.extension, *one.other_extensions)
}
"""Formats to request, by file suffix."""

RAW_RATES: Final[Mapping[str, int]] = {
    one.name: one.coding.width * one.default_rate
    for one in FORMATS.values()
    if isinstance(one.coding, Uncompressed) and not one.wav
}
"""Bytes per second of formats without a header."""

WAV_HEAD: Final = 32
"""Number of bytes at the start of a WAV file that include its byte rate."""

UNKNOWN_SIZE: Final = 0xFFFF_FFFF
"""Size field in the header of a WAV file that was streamed."""

MAX_CHUNKS: Final = 16
"""Maximum number of chunks of a WAV file that are searched for the samples."""


def format_of(path: Path) -> str | None:
    """Return the format for a file's suffix; ``None`` if it is unknown."""
    return SUFFIXES.get(path.suffix.lower())


def byte_rate(audio_format: str, head: bytes) -> int | None:
    """Return the bytes per second of audio.

    Args:
        audio_format: The requested format.
        head: The first bytes; at least :data:`WAV_HEAD` for WAV.

    Returns:
        The rate; ``None`` if it cannot be known without decoding.
    """
    if head[:4] == b"RIFF" and head[8:16] == b"WAVEfmt " and len(head) >= WAV_HEAD:
        return struct.unpack_from("<I", head, 28)[0] or None
    return RAW_RATES.get(audio_format)


def settle_wav(file: BinaryIO) -> None:
    """Write the sizes into the header of a WAV file that was streamed; leave other files unchanged.

    Many players ignore them, but telephone systems need them.

    Args:
        file: A seekable file, open for reading and writing.
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
