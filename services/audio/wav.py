"""RIFF/WAVE headers."""

import struct
from typing import Final

from services.audio.codings import Uncompressed

UNKNOWN: Final = 0xFFFFFFFF
"""The size of a stream of unknown length; readers interpret it as "to the end of the file"."""


def wav_header(coding: Uncompressed, sample_rate: int, data_bytes: int | None) -> bytes:
    """The header of a mono file.

    With an odd ``data_bytes``, one zero byte has to follow the samples.

    Args:
        coding: Of the samples.
        sample_rate: Hertz.
        data_bytes: Of the samples that follow; ``None`` while it is not known.

    Raises:
        ValueError: They are more than the format can count, about 4 GiB.
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
