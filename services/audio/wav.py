"""RIFF/WAVE headers."""

import struct
from typing import Final

from services.audio.codings import Uncompressed

UNKNOWN: Final = 0xFFFFFFFF
"""Size field of a stream of unknown length; readers interpret it as "to the end of the file"."""


def wav_header(coding: Uncompressed, sample_rate: int, data_bytes: int | None) -> bytes:
    """Return the header of a mono WAV file.

    If ``data_bytes`` is odd, a zero byte must follow the samples.

    Args:
        coding: Coding of the samples.
        sample_rate: Sample rate in hertz.
        data_bytes: Size of the samples that follow in bytes; ``None`` if unknown.

    Raises:
        ValueError: The size exceeds the format's limit of about 4 GiB.
    """
    width = coding.width
    body = struct.pack("<HHIIHH", coding.wav_tag, 1, sample_rate, sample_rate * width, width, width * 8)
    fact = b""
    if coding.law is not None:
        body += struct.pack("<H", 0)  # no extension
        fact = b"fact" + struct.pack("<II", 4, UNKNOWN if data_bytes is None else data_bytes // width)
    chunks = b"WAVEfmt " + struct.pack("<I", len(body)) + body + fact + b"data"
    if data_bytes is None:
        return b"RIFF" + struct.pack("<I", UNKNOWN) + chunks + struct.pack("<I", UNKNOWN)
    size = len(chunks) + 4 + data_bytes + data_bytes % 2
    if size >= UNKNOWN:
        raise ValueError(f"A WAV file cannot hold {data_bytes} bytes of samples.")
    return b"RIFF" + struct.pack("<I", size) + chunks + struct.pack("<I", data_bytes)
