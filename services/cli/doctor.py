"""``awaaztwin doctor``: checks of this machine, with remedies."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Final

import typer
from rich.text import Text

from services.cli.checkup import engines, gpu, software, surroundings
from services.cli.checkup.finding import CheckResult, Level, ok, problem
from services.cli.config import ConfigOption
from services.cli.console import FAILED, output, print_json, reported
from services.config import ConfigError, LoadedSettings, load_settings

MARKS: Final[Mapping[Level, tuple[str, str]]] = {
    Level.OK: ("ok     ", "green"),
    Level.WARNING: ("warning", "yellow"),
    Level.PROBLEM: ("problem", "bold red"),
    Level.SKIPPED: ("skipped", "dim"),
}


@reported()
def doctor(
    *,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check what works on this machine and how to fix the rest; a problem makes the exit status 1."""
    found: list[CheckResult] = []
    for finding in _findings(config_file=config):
        found.append(finding)
        if not as_json:
            # Immediately, because some checks take seconds.
            _show(finding)
    if as_json:
        print_json([asdict(finding) for finding in found])
    if any(finding.level is Level.PROBLEM for finding in found):
        raise typer.Exit(FAILED)


def _findings(config_file: ConfigOption) -> Iterator[CheckResult]:
    yield software.python()
    yield from software.packages()
    yield software.embedded_engine()
    yield software.encoders()
    yield from software.programs()
    yield gpu.gpu()
    try:
        loaded = load_settings(config_file)
    except ConfigError as error:
        for wrong in error.problems:
            yield problem("Settings", str(wrong), "Correct it; `awaaztwin config check` checks again.")
        return
    yield ok("Settings", _origin(loaded))
    yield surroundings.port(loaded.settings)
    yield from surroundings.stores(loaded.settings)
    yield from surroundings.privacy(loaded)
    yield from surroundings.runners(loaded.settings)
    yield from engines.engines(loaded.settings)


def _origin(loaded: LoadedSettings) -> str:
    return f"valid, from {', '.join(str(file) for file in loaded.files) or 'built-in defaults'}"


def _show(finding: CheckResult) -> None:
    mark, style = MARKS[finding.level]
    console = output()
    console.print(Text.assemble((mark, style), "  ", (finding.subject, "bold"), ": ", finding.message))
    if finding.remedy:
        console.print(Text(f"         → {finding.remedy}"))
