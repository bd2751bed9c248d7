"""Cache of the voices' keys and values, with limited size."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from engines.xtts.decoder import Prefix


class Prefixes:
    """LRU cache of prefixes by voice ID. Thread-safe.

    Args:
        max_bytes: Maximum total size; a larger prefix is not cached.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, Prefix] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of cached prefixes."""
        return len(self._kept)

    def get(self, voice: str, make: Callable[[], Prefix]) -> Prefix:
        """Return the prefix of a voice; computed with ``make`` if it is not cached."""
        with self._lock:
            if voice in self._kept:
                self._kept.move_to_end(voice)
                return self._kept[voice]
        prefix = make()
        if prefix.nbytes <= self._max_bytes:
            with self._lock:
                self._drop(voice)
                self._kept[voice] = prefix
                self._bytes += prefix.nbytes
                while self._bytes > self._max_bytes:
                    self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return prefix

    def forget(self, voice: str) -> None:
        """Remove a voice."""
        with self._lock:
            self._drop(voice)

    def clear(self) -> None:
        """Remove all voices."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _drop(self, voice: str) -> None:
        prefix = self._kept.pop(voice, None)
        if prefix is not None:
            self._bytes -= prefix.nbytes
