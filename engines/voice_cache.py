"""Prepared voices that are held ready, the least recently used given up first."""

from typing import Final

from cachetools import LRUCache

from engines.contract import VoiceEmbeddingRef

OVERHEAD: Final = 1024
"""Bytes that a voice takes beside its arrays, and each array beside its numbers, roughly."""


class VoiceTooLarge(ValueError):  # noqa: N818 - named for the state
    """One voice is larger than the whole cache."""


class VoiceCache:
    """Prepared voices by id, for one event loop. A call that speaks in one keeps it alive itself.

    Args:
        max_bytes: Of all voices together, at most.
    """

    def __init__(self, max_bytes: int) -> None:
        self._voices: LRUCache[str, VoiceEmbeddingRef] = LRUCache(max_bytes, getsizeof=_size)
        self._hits = 0
        self._misses = 0

    def __len__(self) -> int:
        """How many voices it holds."""
        return len(self._voices)

    @property
    def bytes(self) -> int:
        """What they take."""
        return int(self._voices.currsize)

    @property
    def hits(self) -> int:
        """How often a voice was asked for and there."""
        return self._hits

    @property
    def misses(self) -> int:
        """How often one was asked for and not there."""
        return self._misses

    def get(self, voice_id: str, *, again: bool = False) -> VoiceEmbeddingRef | None:
        """The voice, if it is here; it is then the last to be given up.

        Args:
            voice_id: Its id.
            again: It was asked for before, and missed or found then: that it is here now counts as no hit.
        """
        voice = self._voices.get(voice_id)
        if voice is None:
            self._misses += 1
            return None
        self._hits += not again
        return voice

    def put(self, voice_id: str, voice: VoiceEmbeddingRef) -> None:
        """Hold a voice, in place of those that were not used for longest.

        Raises:
            VoiceTooLarge: It does not fit even alone.
        """
        try:
            self._voices[voice_id] = voice
        except ValueError as error:
            most = self._voices.maxsize
            message = f"the voice takes {_size(voice)} bytes, more than the {most} of the cache"
            raise VoiceTooLarge(message) from error

    def drop(self, voice_id: str) -> bool:
        """Give up a voice; whether it was here."""
        return self._voices.pop(voice_id, None) is not None


def _size(voice: VoiceEmbeddingRef) -> int:
    return voice.nbytes + OVERHEAD * (1 + len(voice.tensors)) + sum(len(name) for name in voice.tensors)
