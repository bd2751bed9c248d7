"""Progress of transfers: amount and speed."""

import time
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from services.cli.audio import WAV_HEAD, byte_rate
from services.cli.console import messages

KILO = 1_000


class ArrivalMeter:
    """Counts bytes, and shows the count on standard error if it is a terminal.

    Args:
        audio_format: The requested format.
    """

    def __init__(self, audio_format: str) -> None:
        self._format = audio_format
        self._console = messages()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("waiting for the first audio")
        self._head = b""
        self._began = time.monotonic()
        self._first: float | None = None
        self.bytes = 0

    def __enter__(self) -> Self:
        """Start the display."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the display, and print the total."""
        del error, trace
        self._progress.stop()
        if kind is None and self._console.is_terminal:
            self._console.print(str(self), style="dim")

    @property
    def seconds(self) -> float | None:
        """Seconds of audio so far; ``None`` if unknown without decoding."""
        rate = byte_rate(self._format, self._head)
        return None if rate is None else self.bytes / rate

    def add(self, data: bytes) -> None:
        """Count the next bytes."""
        if self._first is None:
            self._first = time.monotonic() - self._began
        if len(self._head) < WAV_HEAD:
            self._head += data[: WAV_HEAD - len(self._head)]
        self.bytes += len(data)
        self._progress.update(self._task, description=str(self))

    def __str__(self) -> str:
        """Return the count as text."""
        parts = [f"{self.bytes / KILO:.1f} kB"]
        if self.seconds is not None:
            parts.append(f"{self.seconds:.1f} s of audio")
        if self._first is not None:
            parts.append(f"first byte after {self._first * KILO:.0f} ms")
        return " · ".join(parts)


def transfer_bar() -> Progress:
    """Return a progress bar on standard error, which is disabled if that is not a terminal."""
    console = messages()
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
