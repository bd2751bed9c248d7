"""What a source is asked for, and what of it does not come."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from services.models.errors import SourceDownError, SourceError
from services.models.manifest import ModelFile

MOST_REASONS: Final = 3
"""Files whose failure is told; a source may lack dozens."""


class Wanted(NamedTuple):
    """A file that a source is asked for; files that are not optional are asked for first.

    Attributes:
        file: What it must be.
        members: Its parts there, to be joined in order.
        vital: The model does not work without, and no later source has it.
    """

    file: ModelFile
    members: Sequence[str]
    vital: bool = False


class Failures:
    """Files that a source does not give; those beside them may come all the same."""

    def __init__(self) -> None:
        self._errors: list[SourceError] = []

    def add(self, error: SourceError) -> None:
        """One did not come."""
        self._errors.append(error)

    def check(self) -> None:
        """See that all came.

        Raises:
            SourceError: Some did not; the message says why.
            SourceDownError: The source does not answer.
        """
        told = list(dict.fromkeys(str(error) for error in self._errors))
        if told:
            more = f", and {len(told) - MOST_REASONS} more" if len(told) > MOST_REASONS else ""
            down = any(isinstance(error, SourceDownError) for error in self._errors)
            kind = SourceDownError if down else SourceError
            remedy = next((error.remedy for error in self._errors if error.remedy), None)
            raise kind(", ".join(told[:MOST_REASONS]) + more, remedy=remedy)
