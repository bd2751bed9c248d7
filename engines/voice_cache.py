"""An LRU cache of prepared voices."""

from typing import Final

from cachetools import LRUCache

from engines.contract import VoiceEmbeddingRef

OVERHEAD: Final = 1024
"""Approximate overhead in bytes of a voice, and of each of its arrays."""


class VoiceTooLarge(ValueError):  # noqa: N818 - named for the state
    """A voice is larger than the whole cache."""


class VoiceCache:
    """Prepared voices by ID, for one event loop. Evicted voices remain valid while they are in use.

    Args:
        max_bytes: Maximum total size of the voices in bytes.
    """

    def __init__(self, max_bytes: int) -> None:
        self._voices: LRUCache[str, VoiceEmbeddingRef] = LRUCache(max_bytes, getsizeof=_size)
        self._hits = 0
        self._misses = 0

    def __len__(self) -> int:
        """Number of voices."""
        return len(self._voices)

    @property
    def bytes(self) -> int:
        """Total size of the voices in bytes."""
        return int(self._voices.currsize)

    @property
    def hits(self) -> int:
        """Number of requests for voices that were present."""
        return self._hits

    @property
    def misses(self) -> int:
        """Number of requests for voices that were missing."""
        return self._misses

    def get(self, voice_id: str, *, again: bool = False) -> VoiceEmbeddingRef | None:
        """Return a voice if it is present; it becomes the most recently used.

        Args:
            voice_id: ID of the voice.
            again: Whether this repeats an earlier request, so that it does not count as a hit.
        """
        voice = self._voices.get(voice_id)
        if voice is None:
            self._misses += 1
            return None
        self._hits += not again
        return voice

    def put(self, voice_id: str, voice: VoiceEmbeddingRef) -> None:
        """Store a voice, evicting the least recently used ones.

        Raises:
            VoiceTooLarge: The voice is larger than the cache.
        """
        try:
            self._voices[voice_id] = voice
        except ValueError as error:
            most = self._voices.maxsize
            message = f"the voice takes {_size(voice)} bytes, more than the {most} of the cache"
            raise VoiceTooLarge(message) from error

    def drop(self, voice_id: str) -> bool:
        """Remove a voice; return whether it was present."""
        return self._voices.pop(voice_id, None) is not None


def _size(voice: VoiceEmbeddingRef) -> int:
    return voice.nbytes + OVERHEAD * (1 + len(voice.tensors)) + sum(len(name) for name in voice.tensors)
