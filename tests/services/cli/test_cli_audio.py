"""What the command line knows of audio."""

import io
import struct
import wave

from hypothesis import given
from hypothesis import strategies as st

from services.cli.audio import UNKNOWN_SIZE, byte_rate, settle_wav


def streamed(samples: bytes, *, extra: bytes = b"") -> bytes:
    """A WAV file whose writer did not know how long it would be."""
    chunk = struct.pack("<4sI", b"LIST", len(extra)) + extra + bytes(len(extra) % 2) if extra else b""
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 24_000, 48_000, 2, 16)
    sizes = struct.pack("<I", UNKNOWN_SIZE)
    return b"RIFF" + sizes + b"WAVE" + head + chunk + b"data" + sizes + samples


@given(
    samples=st.binary(max_size=200).map(lambda data: data[: len(data) // 2 * 2]), extra=st.binary(max_size=9)
)
def test_a_settled_file_is_read_whole(samples: bytes, extra: bytes) -> None:
    file = io.BytesIO(streamed(samples, extra=extra))
    settle_wav(file)
    file.seek(0)
    with wave.open(file) as reader:
        assert reader.readframes(1_000) == samples
        assert reader.getnframes() * 2 == len(samples)
    data = file.getvalue()
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8


@given(data=st.binary(max_size=100), head=st.sampled_from([b"", b"RIFF\xff\xff\xff\xffWAVE", b"ID3"]))
def test_anything_else_is_left_alone(data: bytes, head: bytes) -> None:
    if b"data" in data:
        return
    file = io.BytesIO(head + data)
    settle_wav(file)
    assert file.getvalue() == head + data


@given(data=st.binary(max_size=100))
def test_a_file_with_sizes_keeps_them(data: bytes) -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 1, 8_000, 0, "NONE", ""))
        writer.writeframes(data)
    before = file.getvalue()
    settle_wav(file)
    assert file.getvalue() == before


def test_seconds_of_audio() -> None:
    assert byte_rate("wav", streamed(b"")) == 48_000
    assert byte_rate("pcm", b"") == 48_000
    assert byte_rate("mp3", b"ID3" + bytes(100)) is None
    assert byte_rate("wav", b"RIFF") is None
