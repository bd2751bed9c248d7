"""Progress reports of pulling a model."""

from typing import Protocol


class Progress(Protocol):
    """Shows the progress, as a progress bar, as lines, or not at all."""

    def begin(self, what: str, total: int) -> None:
        """Begin a transfer of ``total`` bytes; ``what`` names its source."""
        ...

    def at(self, done: int) -> None:
        """Report that ``done`` bytes of the transfer have arrived."""
        ...

    def say(self, line: str) -> None:
        """Show a message of one line."""
        ...


class Quiet:
    """Shows nothing."""

    def begin(self, what: str, total: int) -> None:
        """Do nothing."""

    def at(self, done: int) -> None:
        """Do nothing."""

    def say(self, line: str) -> None:
        """Do nothing."""
