"""Latents that come in pieces give the whole sentence's frames, in windows that only their number decides."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from engines.xtts.latents import Interpolation, LatentStream, LatentWindow, VocoderShape

WIDTH = 5
SHAPE = VocoderShape(stretches=(4.0, 24000 / 22050), samples_per_frame=256, context=14, sample_rate=24000)

lengths = st.integers(1, 180)
speeds = st.one_of(st.sampled_from([0.5, 0.7, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0]), st.floats(0.3, 3.0))
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=8)


def random_latents(count: int) -> Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(count))


def in_pieces(latents: Tensor, sizes: list[int]) -> list[Tensor]:
    """``latents`` cut by ``sizes`` over and over."""
    pieces, at = [], 0
    for size in itertools.cycle(sizes):
        if at >= len(latents):
            return pieces
        pieces.append(latents[at : at + size])
        at += size
    raise AssertionError


def interpolated(rows: Tensor, factor: float) -> Tensor:
    """``rows`` ``(n, width)`` as torch interpolates them.

    Their last is repeated first, which changes none of the results: where the lengths in and out are equal
    torch copies, and nobody knows the length while rows come.
    """
    repeated = torch.cat((rows, rows[-1:].expand(int(2 + 2 / factor + 2 / abs(factor - 1.0001)), -1)))
    stretched = functional.interpolate(repeated.T[None], scale_factor=[factor], mode="linear")
    return stretched[0].T[: int(len(rows) * factor)]


def whole_sentence(latents: Tensor, speed: float) -> Tensor:
    """Frames ``(width, n)`` as coqui-tts's ``Xtts.inference`` and ``HifiDecoder.forward`` interpolate."""
    frames = latents
    for factor in SHAPE.stretches if speed == 1.0 else (1.0 / speed, *SHAPE.stretches):
        frames = interpolated(frames, factor) if len(frames) else frames
    return frames.T


def windows_of(latents: Tensor, sizes: list[int], speed: float = 1.0, **options: float) -> list[LatentWindow]:
    """Every window, each taken as soon as it can be had."""
    stream = LatentStream(torch.zeros(3, 1), config=SHAPE, speed=speed, **options)  # pyright: ignore[reportArgumentType] - names and numbers
    windows: list[LatentWindow] = []
    for piece in in_pieces(latents, sizes):
        stream.append(piece)
        while (window := stream.next_window()) is not None:
            windows.append(window)
    stream.finish()
    while (window := stream.next_window()) is not None:
        windows.append(window)
    assert stream.done
    return windows


def kept(windows: list[LatentWindow]) -> list[int]:
    return [window.keep // SHAPE.samples_per_frame for window in windows]


@settings(max_examples=200, deadline=None)
@given(count=lengths, factor=st.one_of(st.sampled_from(SHAPE.stretches), st.floats(0.3, 3.5)), sizes=cuts)
def test_interpolation_in_pieces_is_torchs_of_the_whole(count: int, factor: float, sizes: list[int]):
    rows = random_latents(count)
    interpolation = Interpolation(factor)
    pieces = [interpolation.append(piece) for piece in in_pieces(rows, sizes)]
    rest = interpolation.finish()
    assert rest is not None
    # A row's index in float32 may differ by its last bit, 2⁻¹⁵ at row 256: torch may fuse product and sum.
    torch.testing.assert_close(torch.cat([*pieces, rest]), interpolated(rows, factor), rtol=0, atol=3e-4)


@settings(max_examples=150, deadline=None)
@given(count=lengths, speed=speeds, sizes=cuts, first=st.integers(1, 40), growth=st.floats(1.0, 3.0))
def test_windows_are_the_whole_sentence_with_context(
    count: int, speed: float, sizes: list[int], first: int, growth: float
):
    latents = random_latents(count)
    expected = whole_sentence(latents, speed)
    position = 0
    for window in windows_of(latents, sizes, speed, first=first, growth=growth):
        before, size = window.skip // SHAPE.samples_per_frame, window.keep // SHAPE.samples_per_frame
        assert before == min(SHAPE.context, position)
        context = expected[:, position - before : position + size + SHAPE.context]
        # Torch keeps places in float32, for each of two interpolations: below 4,096 they are off by up to
        # 2^-12 of the way to the next row, and rows differ by up to 8.
        torch.testing.assert_close(window.frames, context, rtol=0, atol=4e-3)
        position += size
    assert position == expected.shape[1]


@settings(max_examples=50, deadline=None)
@given(count=lengths, speed=speeds, sizes=cuts)
def test_how_latents_come_changes_nothing(count: int, speed: float, sizes: list[int]):
    latents = random_latents(count)
    at_once = windows_of(latents, [count], speed)
    in_turn = windows_of(latents, sizes, speed)
    assert kept(at_once) == kept(in_turn)
    for one, other in zip(at_once, in_turn, strict=True):
        assert torch.equal(one.frames, other.frames)


def test_windows_grow_from_the_first_to_the_largest():
    windows = windows_of(random_latents(150), [1], first=8, growth=2.0, largest=60)
    *grown, last = kept(windows)
    assert grown[:5] == [8, 16, 32, 60, 60]
    assert set(grown[4:]) == {60}
    assert last < 60 + SHAPE.context


def test_the_first_window_is_there_as_soon_as_its_frames_are_final():
    stream = LatentStream(torch.zeros(3, 1), config=SHAPE, first=16)
    latents = random_latents(20)
    needed = 0
    while stream.next_window() is None:
        stream.append(latents[needed : needed + 1])
        needed += 1
    # 16 + 14 frames are 6.9 latents; the last two frames of eight latents are not final.
    assert needed == 8


def test_a_sentence_without_latents_is_over_when_it_is_finished():
    stream = LatentStream(torch.zeros(3, 1), config=SHAPE)
    assert stream.next_window() is None
    assert not stream.done
    stream.finish()
    assert stream.next_window() is None
    assert stream.done


def test_a_stream_is_not_done_before_its_last_window():
    stream = LatentStream(torch.zeros(3, 1), config=SHAPE)
    stream.append(random_latents(3))
    stream.finish()
    assert not stream.done
    assert stream.next_window() is not None
    assert stream.done


def test_latents_after_the_end_are_refused():
    stream = LatentStream(torch.zeros(3, 1), config=SHAPE)
    stream.finish()
    with pytest.raises(ValueError, match="after the end"):
        stream.append(random_latents(1))


def test_a_long_sentence_does_not_gather_frames():
    stream = LatentStream(torch.zeros(3, 1), config=SHAPE)
    held = 0
    for _ in range(600):
        stream.append(random_latents(1))
        while stream.next_window() is not None:
            pass
        assert stream._frames is None or len(stream._frames) <= 96 + 2 * SHAPE.context
        held = max(
            held, len(stream._latents), *(0 if s._rows is None else len(s._rows) for s in stream._steps)
        )
    assert held <= (96 + SHAPE.context) / 4
