"""Reading of the text to speak."""

import sys
from pathlib import Path
from typing import BinaryIO, Final

from services.cli.console import USAGE, CommandError

STANDARD: Final = "-"
"""Name of standard input or output."""

MAX_BYTES: Final = 4_194_304
"""Maximum size of a text in bytes; servers accept less."""


def read_text(argument: str | None, option: str | None, file: Path | None) -> str:
    """Return the text, which must be given in exactly one way.

    Args:
        argument: Command-line argument; ``-`` is standard input.
        option: Command-line option; always literal.
        file: A UTF-8 file; ``-`` is standard input.

    Raises:
        CommandError: None or several were given, or the text cannot be read.
    """
    given = [source for source in (argument, option, file) if source is not None]
    if len(given) != 1:
        raise CommandError(
            "Give the text in exactly one way: as an argument, with --text, or with --file.",
            'For example: awaaztwin say "Namaste!"',
            status=USAGE,
        )
    if STANDARD in {argument, str(file)}:
        return _decoded(_read(sys.stdin.buffer, "standard input"), "Standard input")
    if file is not None:
        try:
            with file.open("rb") as opened:
                return _decoded(_read(opened, str(file)), str(file))
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.", status=USAGE) from error
    text = str(given[0])
    if not _is_unicode(text):
        raise CommandError("The text is not valid in this terminal's encoding.", status=USAGE)
    return text


def _read(source: BinaryIO, name: str) -> bytes:
    data = source.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise CommandError(f"The text of {name} is longer than {MAX_BYTES} bytes.", status=USAGE)
    return data


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(f"{name} is not UTF-8 text.", status=USAGE) from error


def _is_unicode(text: str) -> bool:
    """Whether a text has no lone surrogates, which Python uses for arguments that it cannot decode."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
