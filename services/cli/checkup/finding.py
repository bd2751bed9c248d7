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
        level: Severity.
        message: Observation.
        remedy: What to do about a warning or problem.
    """

    subject: str
    level: Level
    message: str
    remedy: str | None = None


def ok(subject: str, message: str) -> CheckResult:
    """Return a result for something that works."""
    return CheckResult(subject, Level.OK, message)


def warning(subject: str, message: str, remedy: str) -> CheckResult:
    """Return a result for something that works, but with a limitation."""
    return CheckResult(subject, Level.WARNING, message, remedy)


def problem(subject: str, message: str, remedy: str) -> CheckResult:
    """Return a result for something that does not work."""
    return CheckResult(subject, Level.PROBLEM, message, remedy)


def skipped(subject: str, message: str) -> CheckResult:
    """Return a result for something that was not checked, because it is not used."""
    return CheckResult(subject, Level.SKIPPED, message)
