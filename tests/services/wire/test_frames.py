"""The frames between Gateway and runner."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract import (
    Abandoned,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    UnsupportedUtterance,
)
from services.wire.frames import MAX_FRAME, BrokenStream, Failure, FrameKind, FrameReader, frame

FRAMES = st.lists(st.tuples(st.sampled_from(FrameKind), st.binary(max_size=200)), max_size=10)


@given(FRAMES, st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_frames_survive_any_cutting(frames: list[tuple[FrameKind, bytes]], cuts: list[int]) -> None:
    data = b"".join(frame(kind, payload) for kind, payload in frames)
    reader = FrameReader()
    got: list[tuple[FrameKind, bytes]] = []
    at = 0
    while at < len(data):
        size = cuts[at % len(cuts)]
        got += reader.feed(data[at : at + size])
        at += size
    assert got == frames


@given(st.binary(max_size=500))
def test_noise_is_frames_or_broken(data: bytes) -> None:
    reader = FrameReader()
    with contextlib.suppress(BrokenStream):
        for kind, payload in reader.feed(data):
            assert kind in FrameKind
            assert len(payload) <= len(data)


def test_a_frame_that_is_too_long_is_refused_before_it_arrives() -> None:
    with pytest.raises(BrokenStream):
        list(FrameReader().feed(b"\x01" + (MAX_FRAME + 1).to_bytes(4, "big")))


@pytest.mark.parametrize(
    "error",
    [
        UnsupportedUtterance("no such voice", param="voice"),
        EngineOverloaded("full", retry_after=7.0),
        EngineUnavailable("gone", retry_after=3.0),
        Abandoned("left"),
        EngineError("something", param="x"),
    ],
)
def test_an_error_is_the_same_on_the_other_side(error: EngineError) -> None:
    again = Failure.model_validate_json(Failure.of(error).model_dump_json()).error()
    assert type(again) is type(error)
    assert (again.message, again.param) == (error.message, error.param)
    if isinstance(error, EngineOverloaded | EngineUnavailable):
        assert again.retry_after == error.retry_after  # type: ignore[union-attr]  # same class, as asserted
