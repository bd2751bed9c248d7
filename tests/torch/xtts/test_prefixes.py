"""The cache of voices' prefixes stays within its bytes."""

import torch

from engines.xtts.decoder import Prefix
from engines.xtts.prefixes import Prefixes


def prefix(kilobytes: int) -> Prefix:
    tensor = torch.zeros(kilobytes * 128)  # keys and values of four bytes
    return Prefix(tensor, tensor)


def fail() -> Prefix:
    raise AssertionError("it is cached")


def test_the_least_recently_used_voice_is_evicted() -> None:
    cache = Prefixes(3_072)
    first, second = cache.get("first", lambda: prefix(1)), cache.get("second", lambda: prefix(1))
    assert cache.get("first", fail) is first
    cache.get("third", lambda: prefix(2))
    assert len(cache) == 2
    assert cache.get("first", fail) is first
    assert cache.get("second", lambda: prefix(1)) is not second


def test_a_prefix_larger_than_the_cache_is_not_kept() -> None:
    cache = Prefixes(3_072)
    kept = cache.get("kept", lambda: prefix(1))
    assert cache.get("large", lambda: prefix(4)).nbytes == 4_096
    assert cache.get("kept", fail) is kept
    assert len(cache) == 1


def test_a_voice_is_forgotten() -> None:
    cache = Prefixes(3_072)
    kept = cache.get("voice", lambda: prefix(3))
    cache.forget("voice")
    cache.forget("voice")
    assert cache.get("voice", lambda: prefix(3)) is not kept
    cache.clear()
    assert len(cache) == 0
