"""Problems in the settings, reported all at once."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        where: ``file:line`` or the name of an environment variable; empty for a default.
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


def nearest(wanted: str, names: Iterable[str]) -> str | None:
    """The name most similar to ``wanted``, case-insensitive, or ``None``."""
    by_key = {name.lower(): name for name in names}
    found = difflib.get_close_matches(wanted.lower(), by_key, n=1)
    return by_key[found[0]] if found else None


def suggestion(near: str | None) -> str:
    """The end of a message about an unknown name: the one that was probably meant, if any."""
    return f"; did you mean {near}?" if near else ""
