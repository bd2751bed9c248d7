"""Serialisation of prepared voices as safetensors, which contain arrays and text, but never code."""

import json
from typing import Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from engines.contract import VoiceEmbeddingRef

MEDIA_TYPE: Final = "application/vnd.safetensors"

LARGEST: Final = 64 * 1024 * 1024
"""Maximum size of a prepared voice in bytes."""

_HEADER: Final = 8
"""Size in bytes of the header's length, a little-endian integer at the start of the file."""


class BrokenEmbedding(ValueError):  # noqa: N818 - named for the state
    """The bytes are not a prepared voice."""


def pack(voice: VoiceEmbeddingRef) -> bytes:
    """Return a prepared voice as a safetensors file, with engine and model in its metadata."""
    tensors = {name: np.ascontiguousarray(array, np.float32) for name, array in voice.tensors.items()}
    return save(tensors, metadata={"engine": voice.engine, "model": voice.model})


def unpack(data: bytes) -> VoiceEmbeddingRef:
    """Read what :func:`pack` wrote.

    Raises:
        BrokenEmbedding: The data is damaged, too large, or not a prepared voice.
    """
    if len(data) > LARGEST:
        raise BrokenEmbedding(f"more than {LARGEST} bytes")
    try:
        tensors = load(data)
        length = int.from_bytes(data[:_HEADER], "little")
        metadata = json.loads(data[_HEADER : _HEADER + length])["__metadata__"]
        engine, model = str(metadata["engine"]), str(metadata["model"])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise BrokenEmbedding("not a prepared voice") from error
    for name, array in tensors.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise BrokenEmbedding(f"the array {name!r} does not hold finite float32 numbers")
    return VoiceEmbeddingRef(engine=engine, model=model, tensors=tensors)
