"""What the commands print: results on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import typer
from rich.console import Console
from rich.text import Text

from services.config import ConfigError

FAILED: Final = 1
"""Exit status: the server, or this machine, could not do it."""

USAGE: Final = 2
"""Exit status: the command was called wrongly."""

INTERRUPTED: Final = 130
"""Exit status after Ctrl-C, as shells have it."""

UNWRAPPED: Final = 4_096
"""Columns of a table that no person's terminal has to hold."""


class CommandError(Exception):
    """A command ends with a message.

    Args:
        message: What happened.
        hint: What to do about it.
        status: The exit status.
    """

    def __init__(self, message: str, hint: str | None = None, *, status: int = FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status


def output() -> Console:
    """Standard output; lines are not wrapped unless a terminal shows them."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else UNWRAPPED)


def messages() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """A result for programs."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


@contextmanager
def reported() -> Generator[None, None, None]:
    """Turns what ends a command into its message and its exit status."""
    try:
        yield
    except CommandError as error:
        messages().print(Text.assemble(("Error: ", "bold red"), error.message))
        if error.hint:
            messages().print(Text(error.hint))
        raise typer.Exit(error.status) from None
    except ConfigError as error:
        messages().print(Text("The settings cannot be used:", "bold red"))
        for problem in error.problems:
            messages().print(Text(f"  {problem}"))
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
