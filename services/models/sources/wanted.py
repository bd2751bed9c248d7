"""Files that are requested from a source, and their failures."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from services.models.errors import SourceDownError, SourceError
from services.models.manifest import ModelFile

MOST_REASONS: Final = 3
"""Maximum number of reasons in a message; a source may lack dozens of files."""


class Wanted(NamedTuple):
    """A file requested from a source; required files are requested first.

    Attributes:
        file: The expected file.
        members: Paths of its parts in the source, to be joined in order.
        vital: Whether the file is required and no later source has it.
    """

    file: ModelFile
    members: Sequence[str]
    vital: bool = False


class Failures:
    """Collected failures of a source's files; the other files are still fetched."""

    def __init__(self) -> None:
        self._errors: list[SourceError] = []

    def add(self, error: SourceError) -> None:
        """Record a failure."""
        self._errors.append(error)

    def check(self) -> None:
        """Raise an error if there were failures.

        Raises:
            SourceError: Some files failed; the message says why.
            SourceDownError: The source is unavailable.
        """
        told = list(dict.fromkeys(str(error) for error in self._errors))
        if told:
            more = f", and {len(told) - MOST_REASONS} more" if len(told) > MOST_REASONS else ""
            down = any(isinstance(error, SourceDownError) for error in self._errors)
            kind = SourceDownError if down else SourceError
            remedy = next((error.remedy for error in self._errors if error.remedy), None)
            raise kind(", ".join(told[:MOST_REASONS]) + more, remedy=remedy)
