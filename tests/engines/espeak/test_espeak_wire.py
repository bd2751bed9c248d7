import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.espeak.wire import (
    HEADER,
    MAX_PAYLOAD,
    Frame,
    Mark,
    MessageKind,
    ProtocolError,
    Request,
    pack_frame,
    pack_marks,
    pack_ready,
    take_frames,
    unpack_marks,
    unpack_ready,
)

texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(0, 2**32 - 1)


@given(
    st.builds(
        Request,
        text=texts,
        voice=texts,
        rate=st.integers(80, 450),
        pitch=st.integers(0, 99),
        pitch_range=st.integers(0, 99),
        timings=st.booleans(),
    )
)
def test_a_request_arrives_as_it_was_sent(request: Request):
    assert Request.unpack(request.pack()) == request


@given(st.lists(st.builds(Mark, numbers, numbers, numbers, numbers)))
def test_marks_arrive_as_they_were_sent(marks: list[Mark]):
    assert unpack_marks(pack_marks(marks)) == marks


def test_ready_tells_rate_and_version():
    assert unpack_ready(pack_ready(22_050, "1.52.0")) == (22_050, "1.52.0")


@given(
    st.lists(st.builds(Frame, st.sampled_from(MessageKind), numbers, st.binary(max_size=50)), max_size=8),
    st.integers(1, 40),
)
def test_frames_survive_any_cutting(frames: list[Frame], size: int):
    data = b"".join(pack_frame(*frame) for frame in frames)
    buffer = bytearray()
    taken: list[Frame] = []
    for start in range(0, len(data), size):
        buffer += data[start : start + size]
        taken += take_frames(buffer)
    assert taken == frames
    assert not buffer


@pytest.mark.parametrize("header", [HEADER.pack(MessageKind.PCM, 1, MAX_PAYLOAD + 1), HEADER.pack(99, 1, 0)])
def test_nonsense_is_refused_at_once(header: bytes):
    with pytest.raises(ProtocolError):
        list(take_frames(bytearray(header)))
