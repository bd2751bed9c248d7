"""What is wrong with the settings, told all at once."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        where: ``file:line`` or the name of an environment variable; empty when nobody gave the value.
        key: The dotted key; empty when it is about a whole file.
        message: What is wrong; never repeats a value.
    """

    where: str
    key: str
    message: str

    def __str__(self) -> str:
        """The problem on one line."""
        text = ": ".join(part for part in (self.where, self.key, self.message) if part)
        # A quoted YAML key may hold line breaks.
        return " ".join(text.split())


class ConfigError(Exception):
    """The settings cannot be used.

    Args:
        problems: Everything that is wrong; at least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
