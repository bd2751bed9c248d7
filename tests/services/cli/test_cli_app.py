"""The command line as a program."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from services import __version__
from services.cli.app import app


def test_version(cli: CliRunner) -> None:
    assert cli.invoke(app, ["--version"]).stdout == f"awaaztwin {__version__}\n"


@pytest.mark.parametrize(
    "command", ["serve", "say", "voice", "voices", "engines", "config", "retention", "doctor"]
)
def test_help(cli: CliRunner, command: str) -> None:
    assert command in cli.invoke(app, ["--help"]).stdout
    result = cli.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_unknown_commands_and_options(cli: CliRunner) -> None:
    assert cli.invoke(app, ["sing"]).exit_code == 2
    assert cli.invoke(app, ["say", "--loud"]).exit_code == 2


@pytest.mark.parametrize("entry", ["services.cli", "services.cli.say", "services.cli.voice.create"])
def test_entry_points(entry: str) -> None:
    command = [sys.executable, "-c", f"from {entry} import main; main()", "--help"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert b"awaaztwin" in done.stdout


def test_clients_need_the_base_installation_only() -> None:
    heavy = {
        "aiohttp",
        "av",
        "bentoml",
        "espeakng_loader",
        "fastapi",
        "soxr",
        "sqlalchemy",
        "starlette",
        "uvicorn",
        "torch",
    }
    code = f"import sys, services.cli.app; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, check=True, text=True
    )
    assert done.stdout == "[]\n"
