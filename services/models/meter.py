"""What is told while a model is pulled."""

from typing import Protocol


class Progress(Protocol):
    """Shows how far it is; a terminal's bar, lines, or nothing."""

    def begin(self, what: str, total: int) -> None:
        """Something of ``total`` bytes begins."""
        ...

    def at(self, done: int) -> None:
        """So many bytes of it are there."""
        ...

    def say(self, line: str) -> None:
        """Something worth a line."""
        ...


class Quiet:
    """Tells nothing."""

    def begin(self, what: str, total: int) -> None:
        """Tell nothing."""

    def at(self, done: int) -> None:
        """Tell nothing."""

    def say(self, line: str) -> None:
        """Tell nothing."""
