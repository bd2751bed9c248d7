"""Prepared voices as bytes."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from engines import embedding
from engines.contract import VoiceEmbeddingRef
from engines.embedding import BrokenEmbedding, pack, unpack

VOICE = VoiceEmbeddingRef(
    engine="S",
    model="s/1",
    tensors={"mean": np.arange(6, dtype=np.float32).reshape(2, 3), "scale": np.array([0.5], np.float32)},
)


def test_a_voice_is_the_same_again():
    again = unpack(pack(VOICE))
    assert (again.engine, again.model) == ("S", "s/1")
    assert again.tensors.keys() == VOICE.tensors.keys()
    for name, array in VOICE.tensors.items():
        assert again.tensors[name].dtype == np.float32
        assert np.array_equal(again.tensors[name], array)
    assert again.nbytes == VOICE.nbytes == 28


def test_arrays_that_are_not_laid_out_in_order_keep_their_numbers():
    turned = VoiceEmbeddingRef(engine="S", model="m", tensors={"a": VOICE.tensors["mean"].T})
    assert np.array_equal(unpack(pack(turned)).tensors["a"], VOICE.tensors["mean"].T)


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return (open, (str(self.path), "w"))


def test_nothing_is_unpickled(tmp_path: Path):
    with pytest.raises(BrokenEmbedding):
        unpack(pickle.dumps(Bomb(tmp_path / "trace")))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "metadata", [None, {}, {"engine": "S"}, {"model": "m"}], ids=["none", "empty", "engine", "model"]
)
def test_engine_and_model_must_be_named(metadata: dict[str, str] | None):
    with pytest.raises(BrokenEmbedding):
        unpack(save(VOICE.tensors, metadata=metadata))


@pytest.mark.parametrize(
    "array",
    [np.array([np.nan], np.float32), np.array([np.inf], np.float32), np.zeros(2), np.zeros(2, np.int64)],
    ids=["nan", "infinite", "double", "integers"],
)
def test_only_finite_numbers_of_32_bits(array: np.ndarray):
    with pytest.raises(BrokenEmbedding, match="'a'"):
        unpack(save({"a": array}, metadata={"engine": "S", "model": "m"}))


def test_a_header_that_promises_more_than_there_is():
    header = json.dumps(
        {
            "__metadata__": {"engine": "S", "model": "m"},
            "a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]},
        }
    ).encode()
    for length in (len(header), 1 << 62):
        with pytest.raises(BrokenEmbedding):
            unpack(length.to_bytes(8, "little") + header)


def test_too_large_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedding, "LARGEST", 100)
    with pytest.raises(BrokenEmbedding, match="100 bytes"):
        unpack(pack(VOICE))


@given(st.integers(0, len(pack(VOICE)) - 1))
def test_what_is_cut_off_is_broken(length: int):
    with pytest.raises(BrokenEmbedding):
        unpack(pack(VOICE)[:length])


@given(st.binary(max_size=300))
def test_noise_is_broken(data: bytes):
    with pytest.raises(BrokenEmbedding):
        unpack(data)


@given(st.integers(0, len(pack(VOICE)) - 1), st.integers(1, 255))
def test_one_wrong_byte_is_a_voice_or_broken(at: int, flip: int):
    data = bytearray(pack(VOICE))
    data[at] ^= flip
    try:
        voice = unpack(bytes(data))
    except BrokenEmbedding:
        return
    assert all(np.isfinite(array).all() for array in voice.tensors.values())
