import io
import struct
import wave

import pytest

from services.audio.codings import ALAW, PCM, ULAW, Uncompressed
from services.audio.wav import wav_header


def chunks(data: bytes) -> dict[bytes, tuple[int, bytes]]:
    found: dict[bytes, tuple[int, bytes]] = {}
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        found[name] = (size, data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return found


def test_an_exact_file_is_what_the_standard_library_reads() -> None:
    samples = bytes(range(200))
    with wave.open(io.BytesIO(wav_header(PCM, 22_050, 200) + samples)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 22_050)
        assert file.readframes(1_000) == samples


@pytest.mark.parametrize(("coding", "tag"), [(ULAW, 7), (ALAW, 6)])
@pytest.mark.parametrize("size", [0, 1, 160, 161])
def test_telephone_files(coding: Uncompressed, tag: int, size: int) -> None:
    data = wav_header(coding, 8_000, size) + b"\x55" * size + b"\0" * (size % 2)
    assert struct.unpack_from("<I", data, 4) == (len(data) - 8,)
    found = chunks(data)
    assert struct.unpack("<HHIIHHH", found[b"fmt "][1]) == (tag, 1, 8_000, 8_000, 1, 8, 0)
    assert struct.unpack("<I", found[b"fact"][1]) == (size,)
    assert found[b"data"] == (size, b"\x55" * size)


def test_a_stream_has_sizes_that_say_unknown() -> None:
    header = wav_header(PCM, 24_000, None)
    assert len(header) == 44
    assert header[4:8] == header[40:44] == b"\xff" * 4


def test_no_more_than_the_format_can_count() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        wav_header(PCM, 24_000, 0xFFFFFFFF - 36)
    assert wav_header(PCM, 24_000, 0xFFFFFFFF - 38)[4:8] == b"\xfe\xff\xff\xff"
