"""Progress of a download: a bar on a terminal, lines otherwise."""

from typing import Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

STEP: Final = 25
"""Percentage points between two lines."""


class Bar:
    """A bar for each source, with speed and time left. Use as a context manager.

    Args:
        console: The output; if it is not a terminal, a line is printed for each quarter.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._total = 0
        self._told = 0

    def __enter__(self) -> Self:
        """Start the display."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the display; the bars remain visible."""
        self._progress.stop()

    def begin(self, what: str, total: int) -> None:
        """Begin the next source, with a new bar or a line."""
        self._total, self._told = total, 0
        if self._console.is_terminal:
            self._task = self._progress.add_task(what, total=total)
        else:
            self.say(f"Fetching {_mb(total)} from {what}")

    def at(self, done: int) -> None:
        """Update the progress to ``done`` bytes."""
        if self._task is not None:
            self._progress.update(self._task, completed=done)
        elif (percent := 100 * done // self._total // STEP * STEP) > self._told:
            self._told = percent
            self.say(f"  {percent} %")

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._console.print(Text(line))


def _mb(size: int) -> str:
    return f"{max(1, round(size / 1e6)):,} MB"
