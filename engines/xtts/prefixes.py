"""Cache of the voices' keys and values, with limited size."""

import contextlib
import threading
from collections.abc import Callable

from cachetools import LRUCache

from engines.xtts.decoder import Prefix


class Prefixes:
    """LRU cache of prefixes by voice ID. Thread-safe.

    Args:
        max_bytes: Maximum total size; a larger prefix is not cached.
    """

    def __init__(self, max_bytes: int) -> None:
        self._kept: LRUCache[str, Prefix] = LRUCache(max_bytes, getsizeof=lambda prefix: prefix.nbytes)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of cached prefixes."""
        return len(self._kept)

    def get(self, voice: str, make: Callable[[], Prefix]) -> Prefix:
        """Return the prefix of a voice; computed with ``make`` if it is not cached."""
        with self._lock:
            if (known := self._kept.get(voice)) is not None:
                return known
        prefix = make()
        with self._lock, contextlib.suppress(ValueError):  # larger than the whole cache
            self._kept[voice] = prefix
        return prefix

    def forget(self, voice: str) -> None:
        """Remove a voice."""
        with self._lock:
            self._kept.pop(voice, None)

    def clear(self) -> None:
        """Remove all voices."""
        with self._lock:
            self._kept.clear()
