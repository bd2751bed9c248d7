import numpy as np
import pytest

from engines.contract import Pcm
from services.audio.edges import QUIET, Edges

RATE = 24_000


def through(edges: Edges, pcm: Pcm, size: int) -> Pcm:
    parts = [edges.feed(pcm[start : start + size]) for start in range(0, pcm.size, size)]
    return np.concatenate([*parts, edges.end_utterance()])


@pytest.mark.parametrize("size", [1, 7, 71, 72, 73, 5_000])
def test_a_step_at_both_ends_becomes_a_slope(size: int) -> None:
    level = np.full(2_000, 10_000, np.int16)
    shaped = through(Edges(RATE), level, size)
    assert shaped.size == level.size
    steps = np.abs(np.diff(shaped.astype(np.int32), prepend=0, append=0))
    assert steps.max() < 300
    np.testing.assert_array_equal(shaped[72:-72], level[72:-72])


@pytest.mark.parametrize("size", [1, 100, 5_000])
def test_edges_near_zero_are_left_alone(size: int) -> None:
    tone = np.rint(9_000 * np.sin(2 * np.pi * 200 * np.arange(2_401) / RATE)).astype(np.int16)
    assert abs(int(tone[-1])) <= QUIET
    np.testing.assert_array_equal(through(Edges(RATE), tone, size), tone)


@pytest.mark.parametrize("samples", [1, 2, 71, 72, 100, 143])
def test_utterances_shorter_than_their_fades(samples: int) -> None:
    shaped = through(Edges(RATE), np.full(samples, -20_000, np.int16), 10)
    assert shaped.size == samples
    assert abs(int(shaped[0])) <= 5_200
    assert abs(int(shaped[-1])) <= 10_000 / max(1, samples / 4)


def test_each_utterance_starts_afresh() -> None:
    edges = Edges(RATE)
    level = np.full(1_000, 10_000, np.int16)
    np.testing.assert_array_equal(through(edges, level, 300), through(edges, level, 1_000))
    assert edges.end_utterance().size == 0


def test_the_input_is_not_written_to() -> None:
    level = np.full(1_000, 10_000, np.int16)
    level.flags.writeable = False
    through(Edges(RATE), level, 1_000)
