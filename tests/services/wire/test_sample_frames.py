"""Recordings on their way to a runner."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract import ReferenceSample, UnsupportedUtterance
from services.wire.frames import BrokenStream, FrameKind, RecordingHeader, Recordings, frame
from services.wire.sample_frames import MAX_RECORDINGS, RecordingsReader, encode


def sample(size: int = 10, rate: int = 16_000, **said: str) -> ReferenceSample:
    return ReferenceSample(pcm=np.arange(size, dtype=np.int16), sample_rate=rate, **said)


def read(*pieces: bytes) -> list[ReferenceSample]:
    reader = RecordingsReader()
    for piece in pieces:
        reader.feed(piece)
    return reader.finish()


def announce(*recordings: tuple[int, int]) -> bytes:
    announced = Recordings(
        recordings=tuple(RecordingHeader(samples=n, sample_rate=rate) for n, rate in recordings)
    )
    return frame(FrameKind.PREPARE, announced.model_dump_json().encode())


@given(
    st.lists(
        st.tuples(st.integers(1, 500), st.sampled_from([8_000, 24_000, 48_000])), min_size=1, max_size=5
    ),
    st.integers(1, 100),
)
def test_they_are_the_same_again_however_they_are_cut(sizes: list[tuple[int, int]], cut: int):
    sent = [sample(size, rate, transcript=f"नमस्ते {size}", language="hi") for size, rate in sizes]
    data = b"".join(encode(sent))
    got = read(*(data[at : at + cut] for at in range(0, len(data), cut)))
    for one, other in zip(sent, got, strict=True):
        assert np.array_equal(one.pcm, other.pcm)
        assert other.pcm.dtype == np.int16
        assert (one.sample_rate, one.transcript, one.language) == (
            other.sample_rate,
            other.transcript,
            other.language,
        )


def test_a_long_recording_goes_in_pieces():
    long = sample(1_000_000, 48_000)
    pieces = list(encode([long]))
    assert len(pieces) > 5
    assert np.array_equal(read(*pieces)[0].pcm, long.pcm)


@pytest.mark.parametrize(
    ("announced", "words"),
    [
        ([], "recordings"),
        ([(1, 16_000)] * (MAX_RECORDINGS + 1), "recordings"),
        ([(16_000 * 400, 16_000), (8_000 * 201, 8_000)], "600 s"),
        ([(1_000, 4_000)], "sample rate"),
        ([(1_000, 96_000)], "sample rate"),
    ],
    ids=["none", "too many", "too long", "too slow", "too fast"],
)
def test_bounds_are_kept_before_any_audio(announced: list[tuple[int, int]], words: str):
    with pytest.raises(UnsupportedUtterance, match=words):
        RecordingsReader().feed(announce(*announced))


AUDIO, END = frame(FrameKind.AUDIO, bytes(8)), frame(FrameKind.END)
FOUR = announce((4, 16_000))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        FOUR,
        FOUR + AUDIO,
        FOUR + frame(FrameKind.AUDIO, bytes(7)) + END,
        FOUR + frame(FrameKind.AUDIO, bytes(9)) + END,
        FOUR + AUDIO + AUDIO + END,
        FOUR + frame(FrameKind.AUDIO) + AUDIO + END,
        FOUR + FOUR + AUDIO + END,
        AUDIO + END,
        END,
        FOUR + AUDIO + END + END,
        FOUR + frame(FrameKind.ERROR, b"{}"),
        frame(FrameKind.PREPARE, b"{}"),
        frame(FrameKind.PREPARE, b'{"recordings": [{"samples": -1, "sample_rate": 16000}]}'),
        frame(FrameKind.PREPARE, b"\xff"),
        frame(FrameKind.PREPARE, b'{"recordings": [{"samples": 0, "sample_rate": 16000}]}'),
        b"\x09\x00\x00\x00\x00",
    ],
)
def test_anything_else_is_broken(data: bytes):
    assert len(read(FOUR + AUDIO + END)) == 1
    with pytest.raises(BrokenStream):
        read(data)


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes):
    with contextlib.suppress(UnsupportedUtterance), pytest.raises(BrokenStream):
        read(data)
