"""Voices as the decoder sees them, kept within a bound of bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from engines.xtts.decoder import Prefix


class Prefixes:
    """The prefixes that were used last, by the id of their voice.

    Args:
        max_bytes: Of all together; one that is larger is not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, Prefix] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def get(self, voice: str, make: Callable[[], Prefix]) -> Prefix:
        """The prefix of a voice; made if it is not kept."""
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
        """Give up a voice."""
        with self._lock:
            self._drop(voice)

    def clear(self) -> None:
        """Give up all."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _drop(self, voice: str) -> None:
        prefix = self._kept.pop(voice, None)
        if prefix is not None:
            self._bytes -= prefix.nbytes
