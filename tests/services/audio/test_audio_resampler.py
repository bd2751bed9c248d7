import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract import Pcm
from services.audio.resampler import Resampler

RATE = 22_050


def resampled(pcm: Pcm, rate: int, size: int) -> Pcm:
    resampler = Resampler(RATE, rate)
    parts = [resampler.feed(pcm[start : start + size]) for start in range(0, pcm.size, size)]
    return np.concatenate([*parts, resampler.finish()])


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1_000),
    samples=st.integers(1, 20_000),
    size=st.integers(1, 5_000),
    rate=st.sampled_from([8_000, 16_000, 24_000, 44_100, 48_000]),
)
def test_the_cut_does_not_matter_and_nothing_is_lost(seed: int, samples: int, size: int, rate: int) -> None:
    noise = np.random.default_rng(seed).integers(-20_000, 20_000, samples).astype(np.int16)
    whole = resampled(noise, rate, samples)
    np.testing.assert_array_equal(resampled(noise, rate, max(size, samples // 200)), whole)
    assert abs(whole.size - samples * rate / RATE) <= 1


@pytest.mark.parametrize("rate", [8_000, 24_000])
def test_silence_stays_silent(rate: int) -> None:
    assert not resampled(np.zeros(10_000, np.int16), rate, 441).any()


def test_full_scale_does_not_wrap() -> None:
    square = np.where(np.arange(RATE) % 200 < 100, 32_767, -32_768).astype(np.int16)
    out = resampled(square, 24_000, 1_000).astype(np.int32)
    # A wrapped overshoot would jump from one end to the other within a half-wave.
    assert out.max() == 32_767
    assert out.min() == -32_768
    middles = out[54::109][:100]
    assert (np.abs(middles) > 30_000).all()


def test_no_alias_below_the_sixteenth_bit() -> None:
    # 9 kHz cannot be in 8 kHz sound: nothing of it may come out.
    tone = np.rint(20_000 * np.sin(2 * np.pi * 9_000 * np.arange(RATE) / RATE)).astype(np.int16)
    middle = resampled(tone, 8_000, 441)[1_000:-1_000]
    assert np.abs(middle).max() <= 1
