"""Problems in the settings, which are all reported together."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem in the settings.

    Attributes:
        where: ``file:line`` or the name of an environment variable; empty for a default.
        key: Dotted key; empty if the problem concerns a whole file.
        message: Description, which never repeats a value.
    """

    where: str
    key: str
    message: str

    def __str__(self) -> str:
        """Return the problem as one line."""
        text = ": ".join(part for part in (self.where, self.key, self.message) if part)
        # A quoted YAML key may contain line breaks.
        return " ".join(text.split())


class ConfigError(Exception):
    """The settings are invalid.

    Args:
        problems: All problems; at least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def nearest(wanted: str, names: Iterable[str]) -> str | None:
    """Return the name most similar to ``wanted``, case-insensitively; ``None`` if none is similar."""
    by_key = {name.lower(): name for name in names}
    found = difflib.get_close_matches(wanted.lower(), by_key, n=1)
    return by_key[found[0]] if found else None


def suggestion(near: str | None) -> str:
    """Return the end of a message about an unknown name, with a suggestion if there is a similar name."""
    return f"; did you mean {near}?" if near else ""
