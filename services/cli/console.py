"""Output of the commands: results on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Final

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from services.config import ConfigError
from services.escaping import escaped, safe_json

FAILED: Final = 1
"""Exit status after a failure of the server or of this machine."""

USAGE: Final = 2
"""Exit status after wrong usage."""

INTERRUPTED: Final = 130
"""Exit status after Ctrl-C, as in shells."""

UNWRAPPED: Final = 4_096
"""Width in columns of output that is not shown on a terminal."""


class CommandError(Exception):
    """A command fails with a message for the user.

    Args:
        message: Description of the failure.
        hint: What to do about it.
        status: Exit status.
    """

    def __init__(self, message: str, hint: str | None = None, *, status: int = FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status


class PlainConsole(Console):
    """Prints text from servers and databases literally, without markup or escape codes."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See :class:`rich.console.Console`."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment("\n".join(map(escaped, text.split("\n"))), style)


def output() -> Console:
    """Return a console for standard output; lines are wrapped on a terminal only."""
    width = None if sys.stdout.isatty() else UNWRAPPED
    return PlainConsole(highlight=False, markup=False, emoji=False, width=width)


def messages() -> Console:
    """Return a console for standard error."""
    return PlainConsole(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print a machine-readable result."""
    typer.echo(safe_json(json.dumps(value, ensure_ascii=False, indent=2)))


@contextmanager
def reported() -> Generator[None, None, None]:
    """Turn exceptions into a message and an exit status."""
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
