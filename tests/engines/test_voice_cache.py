"""The cache of prepared voices."""

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract import VoiceEmbeddingRef
from engines.voice_cache import OVERHEAD, VoiceCache, VoiceTooLarge

COST = 2 * OVERHEAD + len("a")
"""What a voice of one empty array takes."""


def voice(numbers: int = 0) -> VoiceEmbeddingRef:
    return VoiceEmbeddingRef(engine="S", model="s/1", tensors={"a": np.zeros(numbers, np.float32)})


def test_hits_and_misses_are_counted():
    cache = VoiceCache(10 * COST)
    held = voice()
    assert cache.get("a") is None
    cache.put("a", held)
    assert cache.get("a", again=True) is held
    assert (cache.hits, cache.misses) == (0, 1)
    assert cache.get("a") is held
    assert cache.get("b", again=True) is None
    assert (cache.hits, cache.misses) == (1, 2)


def test_the_one_used_longest_ago_goes_first():
    cache = VoiceCache(3 * COST)
    for name in "abc":
        cache.put(name, voice())
    assert cache.get("a")
    cache.put("d", voice())
    assert [name for name in "abcd" if cache.get(name)] == ["a", "c", "d"]


def test_a_voice_that_fits_nowhere_is_refused_and_costs_nobody_a_place():
    cache = VoiceCache(COST + 400)
    cache.put("a", voice(100))
    with pytest.raises(VoiceTooLarge, match=str(COST + 404)):
        cache.put("b", voice(101))
    assert cache.get("a")
    assert len(cache) == 1


def test_what_is_put_again_is_counted_once():
    cache = VoiceCache(10 * COST)
    cache.put("a", voice(100))
    cache.put("a", voice(5))
    assert (len(cache), cache.bytes) == (1, COST + 20)


def test_what_is_dropped_is_gone():
    cache = VoiceCache(10 * COST)
    cache.put("a", voice(100))
    assert cache.drop("a")
    assert not cache.drop("a")
    assert cache.get("a") is None
    assert (len(cache), cache.bytes) == (0, 0)


def test_voices_without_numbers_are_bounded_too():
    cache = VoiceCache(100 * COST)
    for number in range(1_000):
        cache.put(f"{number}", voice())
    assert len(cache) == 100


NAMES = st.sampled_from("abcdef")


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), NAMES, st.integers(0, 3_000)),
            st.tuples(st.just("get"), NAMES, st.just(0)),
            st.tuples(st.just("drop"), NAMES, st.just(0)),
        )
    )
)
def test_it_does_what_a_plain_list_would(steps: list[tuple[str, str, int]]):
    bound = 3 * COST + 4_000
    cache = VoiceCache(bound)
    plain: OrderedDict[str, int] = OrderedDict()
    for what, name, numbers in steps:
        size = COST + 4 * numbers
        if what == "put" and size <= bound:
            cache.put(name, voice(numbers))
            plain.pop(name, None)
            plain[name] = size
            while sum(plain.values()) > bound:
                plain.popitem(last=False)
        elif what == "get":
            assert (cache.get(name) is not None) == (name in plain)
            if name in plain:
                plain.move_to_end(name)
        elif what == "drop":
            assert cache.drop(name) == (plain.pop(name, None) is not None)
        assert (len(cache), cache.bytes) == (len(plain), sum(plain.values()))
        assert cache.bytes <= bound
