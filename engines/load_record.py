"""A record of loads that crashed their process, so that the next process backs off.

A file is written before a load and removed after it, whether it succeeds or not. A remaining file is from a
load that ended its process: by a crash in a library, or because the system was out of memory.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

logger = logging.getLogger(__name__)

FIRST_BACKOFF_SECONDS: Final = 30.0
"""Seconds to wait after the first crash; doubles with each. The process is restarted within 10 to 20 s."""

MAX_BACKOFF_SECONDS: Final = 600.0
"""Maximum backoff in seconds."""

_LARGEST: Final = 200
"""Number of bytes that are read; our files are shorter."""

_MOST: Final = 1_000
"""Maximum count; a file with a larger one is ignored."""


@dataclass(frozen=True, slots=True)
class Deaths:
    """Consecutive loads that ended their process.

    Attributes:
        count: Their number; 0 if the last load returned.
        wait: Seconds until the next attempt.
    """

    count: int
    wait: float

    @property
    def reason(self) -> str:
        """A human-readable description."""
        often = "" if self.count == 1 else f", {self.count} times in a row"
        return f"The process died while loading{often}."


class LoadRecord:
    """The file of one engine.

    Args:
        path: The file; its folder exists.
        clock: Returns Unix seconds, which are comparable between processes.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def deaths(self) -> Deaths:
        """Return the consecutive loads that ended their process since a load last returned."""
        count, at = self._read()
        if count == 0:
            return Deaths(0, 0.0)
        backoff = min(FIRST_BACKOFF_SECONDS * 2.0 ** (count - 1), MAX_BACKOFF_SECONDS)
        # If the clock was set back, do not wait for longer than the backoff.
        return Deaths(count, min(backoff, max(0.0, at + backoff - self._clock())))

    def begin(self) -> None:
        """Record the start of a load."""
        count, _ = self._read()
        self._write(min(count + 1, _MOST))

    def end(self) -> None:
        """Record the end of a load, successful or not."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("cannot remove %s: %s", self._path, error)

    def _read(self) -> tuple[int, float]:
        try:
            with self._path.open("rb") as file:
                content = cast("object", json.loads(file.read(_LARGEST)))
        except (OSError, ValueError):
            return 0, 0.0
        match content:
            case {"loads": int(count), "at": int(at) | float(at)} if 0 < count <= _MOST:
                return count, float(at)
            case _:
                return 0, 0.0

    def _write(self, count: int) -> None:
        try:
            self._path.write_text(json.dumps({"loads": count, "at": self._clock()}), encoding="utf-8")
        except OSError as error:
            # Loading works without the file, but crashes are not counted.
            logger.warning("cannot write %s: %s", self._path, error)
