"""``config``: the settings in effect."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.app import app


def test_show(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine.yaml").write_text(
        "server:\n  port: 9001\nstorage:\n  redis_url: redis://u:hunter2@127.0.0.1/0\n"
    )
    monkeypatch.setenv("AWAAZTWIN_SERVER__WORKERS", "2")
    result = cli.invoke(app, ["config", "show", "--json", "--config", "mine.yaml"])
    shown = json.loads(result.stdout)
    assert shown["settings"]["server"]["port"] == 9001
    assert shown["sources"]["server.port"] == "mine.yaml:2"
    assert shown["sources"]["server.workers"] == "AWAAZTWIN_SERVER__WORKERS"
    table = cli.invoke(app, ["config", "show", "-c", "mine.yaml"]).stdout
    assert "mine.yaml:2" in table
    assert "hunter2" not in table + result.stdout


def test_check_lists_every_problem(cli: CliRunner) -> None:
    assert cli.invoke(app, ["config", "check"]).exit_code == 0
    Path("configuration.yaml").write_text("server:\n  prot: 9001\n  workers: many\n")
    result = cli.invoke(app, ["config", "check"])
    assert result.exit_code == 1
    assert "configuration.yaml:2" in result.stderr
    assert "configuration.yaml:3" in result.stderr
    assert cli.invoke(app, ["config", "show"]).exit_code == 1


def test_path(cli: CliRunner, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = cli.invoke(app, ["config", "path"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert str(elsewhere / "configuration.yaml") in result.stderr
    file = elsewhere / "mine.yaml"
    file.write_text("env: onprem\n")
    overlay = elsewhere / "mine.onprem.yaml"
    overlay.write_text("server:\n  port: 9001\n")
    assert cli.invoke(app, ["config", "path", "-c", "mine.yaml"]).stdout.split() == [str(file), str(overlay)]
    file.write_text("prot: 1\n")
    monkeypatch.setenv("AWAAZTWIN_CONFIG", str(file))
    assert cli.invoke(app, ["config", "path"]).stdout.split() == [str(file)]


def test_an_absent_file_is_named(cli: CliRunner) -> None:
    result = cli.invoke(app, ["config", "check", "--config", "none.yaml"])
    assert result.exit_code == 1
    assert "none.yaml" in result.stderr
