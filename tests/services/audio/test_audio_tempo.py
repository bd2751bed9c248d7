import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract import Pcm
from services.audio.tempo import Tempo

RATE = 22_050
FACTORS = (0.25, 0.4, 0.5, 0.8, 1.25, 2.0, 2.5, 3.0, 4.0)


def stretched(pcm: Pcm, factor: float, size: int) -> Pcm:
    tempo = Tempo(RATE, factor)
    parts = [tempo.feed(pcm[start : start + size]) for start in range(0, pcm.size, size)]
    parts.append(tempo.end_utterance())
    tempo.close()
    return np.concatenate(parts)


def tone(hertz: float, seconds: float) -> Pcm:
    t = np.arange(round(seconds * RATE)) / RATE
    wave = sum((np.sin(2 * np.pi * hertz * k * t + k) / k for k in range(1, 8)), start=np.zeros(t.size))
    return np.rint(wave * 6_000).astype(np.int16)


def pitch(pcm: Pcm) -> float:
    """Median of the autocorrelation's first peak, in hertz."""
    found: list[float] = []
    for start in range(2_048, pcm.size - 4_096, 2_048):
        frame = pcm[start : start + 2_048].astype(np.float64)
        correlation = np.fft.irfft(np.abs(np.fft.rfft(frame, 4_096)) ** 2)[:600]
        lag = 60 + int(correlation[60:].argmax())
        found.append(RATE / lag)
    return float(np.median(found))


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("hertz", [110.0, 196.0])
def test_the_pitch_stays(factor: float, hertz: float) -> None:
    slow = stretched(tone(hertz, 4.0), factor, 441)
    assert pitch(slow) == pytest.approx(hertz, rel=0.02)


@settings(deadline=None, max_examples=25)
@given(
    samples=st.integers(1, 30_000), factor=st.sampled_from(FACTORS), size=st.sampled_from([97, 441, 50_000])
)
def test_the_length_is_exact(samples: int, factor: float, size: int) -> None:
    assert stretched(tone(150.0, 2.0)[:samples], factor, size).size == round(samples / factor)


@pytest.mark.parametrize("factor", [0.3, 0.7, 1.5, 4.0])
def test_the_cut_of_the_pieces_does_not_matter(factor: float) -> None:
    signal = tone(150.0, 1.5)
    whole = stretched(signal, factor, signal.size)
    for size in (97, 441, 5_000):
        np.testing.assert_array_equal(stretched(signal, factor, size), whole)


@pytest.mark.parametrize("factor", FACTORS)
def test_sounds_stay_where_they_belong_and_none_is_lost(factor: float) -> None:
    signal = np.zeros(3 * RATE, np.int16)
    burst = np.rint(np.sin(2 * np.pi * 500 * np.arange(round(0.1 * RATE)) / RATE) * 15_000).astype(np.int16)
    starts = (0.1, 0.9, 1.7, 2.7)
    for start in starts:
        signal[round(start * RATE) :][: burst.size] = burst
    loud = np.abs(stretched(signal, factor, 441).astype(np.int32)) > 4_000
    for start in starts:
        middle = (start + 0.05) / factor
        near = loud[round((middle - 0.06 / factor) * RATE) : round((middle + 0.06 / factor) * RATE)]
        assert near.sum() > 0.2 * near.size * 0.5


@pytest.mark.parametrize("factor", [0.25, 2.0, 4.0])
def test_a_long_piece_is_not_held_back(factor: float) -> None:
    tempo = Tempo(RATE, factor)
    given_out = tempo.feed(tone(150.0, 3.0))
    tempo.close()
    assert given_out.size > 2.4 * RATE / factor


def test_utterances_are_independent() -> None:
    signal = tone(150.0, 0.8)
    tempo = Tempo(RATE, 1.7)
    first = np.concatenate([tempo.feed(signal), tempo.end_utterance()])
    second = np.concatenate([tempo.feed(signal), tempo.end_utterance()])
    np.testing.assert_array_equal(first, second)
    assert tempo.end_utterance().size == 0
    tempo.close()
    tempo.close()


@pytest.mark.parametrize("factor", [0.0, 0.24, 4.01, -1.0, float("nan"), float("inf")])
def test_factors_out_of_range(factor: float) -> None:
    with pytest.raises(ValueError, match="not between"):
        Tempo(RATE, factor)
