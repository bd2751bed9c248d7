"""The result of one check."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """The result's severity."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check.

    Attributes:
        subject: What was checked.
        level: Its severity.
        message: The observation.
        remedy: What to do about it, unless it is fine.
    """

    subject: str
    level: Level
    message: str
    remedy: str | None = None


def ok(subject: str, message: str) -> CheckResult:
    """It works."""
    return CheckResult(subject, Level.OK, message)


def warning(subject: str, message: str, remedy: str) -> CheckResult:
    """It works, but with a limitation."""
    return CheckResult(subject, Level.WARNING, message, remedy)


def problem(subject: str, message: str, remedy: str) -> CheckResult:
    """It does not work."""
    return CheckResult(subject, Level.PROBLEM, message, remedy)


def skipped(subject: str, message: str) -> CheckResult:
    """Not checked, because it is not used."""
    return CheckResult(subject, Level.SKIPPED, message)
