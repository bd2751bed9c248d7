"""One thing that was looked at."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How it stands."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was found.

    Attributes:
        subject: What was looked at.
        level: How it stands.
        message: What was seen.
        remedy: What to do about it, unless all is well.
    """

    subject: str
    level: Level
    message: str
    remedy: str | None = None


def ok(subject: str, message: str) -> CheckResult:
    """All is well."""
    return CheckResult(subject, Level.OK, message)


def warning(subject: str, message: str, remedy: str) -> CheckResult:
    """It works, with less than it could."""
    return CheckResult(subject, Level.WARNING, message, remedy)


def problem(subject: str, message: str, remedy: str) -> CheckResult:
    """It does not work."""
    return CheckResult(subject, Level.PROBLEM, message, remedy)


def skipped(subject: str, message: str) -> CheckResult:
    """Not looked at, because it is not used."""
    return CheckResult(subject, Level.SKIPPED, message)
