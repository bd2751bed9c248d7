"""``doctor``: what works on this machine."""

import json
import socket
import subprocess
import sys
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.app import app
from services.cli.checkup import engines as checkup_engines
from services.cli.checkup import software, surroundings
from services.cli.checkup.finding import Level
from services.cli.checkup.probe import ProbeError, probe
from services.cli.port import owner
from services.cli.requirements import FASTER_MODULES, SERVER_MODULES, missing
from services.config import Settings

ROOT = Path(__file__).parents[3]


@contextmanager
def somebody() -> Generator[int, None, None]:
    """A port with a listener that says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


def test_this_machine(cli: CliRunner, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWAAZTWIN_SERVER__PORT", str(free_port))
    result = cli.invoke(app, ["doctor", "--json"])
    findings = {finding["subject"]: finding for finding in json.loads(result.stdout)}
    assert result.exit_code == 0, result.stdout
    assert {"Python", "eSpeak NG", "Audio encoders", "Settings", "Port", "Database", "Redis"} <= set(findings)
    assert all(
        finding["remedy"] for finding in findings.values() if finding["level"] in {"warning", "problem"}
    )
    assert "English and Hindi" in findings["eSpeak NG"]["message"]


def test_a_problem_is_an_exit_status(cli: CliRunner) -> None:
    Path("configuration.yaml").write_text("server:\n  prot: 9001\n")
    result = cli.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "configuration.yaml:2" in result.stdout
    assert "→" in result.stdout


def test_a_port_of_somebody_else() -> None:
    with somebody() as port:
        finding = surroundings.port(settings(server={"port": port}))
        assert finding.level is Level.PROBLEM
        if sys.platform == "linux":
            who = owner(port)
            assert who is not None
            assert who.startswith("process ")
            assert who in finding.message


def test_our_own_server(gateway: str) -> None:
    finding = surroundings.port(settings(server={"port": int(gateway.rpartition(":")[2])}))
    assert finding.level is Level.WARNING
    assert "BROKEN is failed" in finding.message


def test_a_host_of_another_machine() -> None:
    local = settings()
    server = local.server.model_copy(update={"host": "192.0.2.1"})
    assert surroundings.port(local.model_copy(update={"server": server})).level is Level.PROBLEM


def test_stores_that_are_not_there(free_port: int, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    findings = {
        finding.subject: finding
        for finding in surroundings.stores(
            settings(
                storage={
                    "db_url": f"postgresql://u:hunter2@127.0.0.1:{free_port}/x",
                    "redis_url": f"redis://127.0.0.1:{free_port}",
                    "object_store": {"path": str(tmp_path / "file" / "below")},
                }
            )
        )
    }
    assert {finding.level for finding in findings.values()} == {Level.PROBLEM}
    assert "hunter2" not in str(findings)
    assert all(finding.remedy for finding in findings.values())


def test_stores_that_are_there(tmp_path: Path) -> None:
    with somebody() as port:
        findings = list(
            surroundings.stores(
                settings(
                    storage={
                        "db_url": f"sqlite+aiosqlite:///{tmp_path}/new/a.db",
                        "redis_url": f"redis://127.0.0.1:{port}",
                        "object_store": {"path": str(tmp_path / "objects")},
                    }
                )
            )
        )
    assert [finding.level for finding in findings] == [Level.OK] * 3
    assert str(tmp_path / "new") in findings[0].message
    assert not (tmp_path / "new").exists()


def test_a_redis_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "r"))
        listener.listen()
        (_, redis, _) = surroundings.stores(settings(storage={"redis_url": f"unix://{tmp_path}/r"}))
        assert redis.level is Level.OK
    (_, redis, _) = surroundings.stores(settings(storage={"redis_url": f"unix://{tmp_path}/none"}))
    assert redis.level is Level.PROBLEM


def test_a_runner_elsewhere(free_port: int) -> None:
    engine = {"name": "FAR", "type": "SYNTHETIC", "url": f"http://127.0.0.1:{free_port}"}
    (finding,) = surroundings.runners(settings(engines=[engine]))
    assert finding.level is Level.PROBLEM


@pytest.mark.parametrize(
    ("engine", "level", "said"),
    [
        ({"type": "SYNTHETIC"}, Level.OK, "Apache-2.0"),
        ({"type": "SYNTHETIC", "options": {"license": "CPML"}}, Level.WARNING, "non-commercial"),
        (
            {"type": "SYNTHETIC", "options": {"license": "CPML"}, "accept_license": "CPML"},
            Level.OK,
            "which you have accepted",
        ),
        ({"type": "SYNTETIC"}, Level.PROBLEM, "Did you mean SYNTHETIC?"),
        ({"type": "SYNTHETIC", "options": {"base_msec": 1}}, Level.PROBLEM, "base_msec"),
    ],
)
def test_an_engine(engine: dict[str, Any], level: Level, said: str) -> None:
    (finding,) = checkup_engines.engines(settings(engines=[{"name": "E", **engine}]))
    assert (finding.subject, finding.level) == ("Engine E", level)
    assert said in finding.message
    assert bool(finding.remedy) == (level is not Level.OK)


def test_an_engine_elsewhere_is_not_made_here() -> None:
    engine = {"name": "E", "type": "NONE-OF-OURS", "url": "http://127.0.0.1:1"}
    assert not list(checkup_engines.engines(settings(engines=[engine])))


def test_without_players(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    levels = {finding.subject: finding.level for finding in software.programs()}
    assert levels == {"Players": Level.WARNING, "FFmpeg": Level.SKIPPED}


def test_packages_that_are_missing() -> None:
    assert missing() == []
    assert missing({"fastapi": "fastapi", "absent-one": "absent_one"}) == ["absent-one"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_installation_of_a_client(tmp_path: Path) -> None:
    """Only what the base asks for, without the server's packages."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], timeout=100, check=True)
    python = environment / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", str(ROOT)]
    subprocess.run(pip, timeout=600, check=True)
    command = [str(environment / "bin" / "awaaztwin")]
    done = subprocess.run([*command, "doctor", "--json"], capture_output=True, timeout=100, check=True)
    findings = {finding["subject"]: finding for finding in json.loads(done.stdout)}
    assert findings["Server packages"]["level"] == "warning"
    assert findings["eSpeak NG"]["level"] == "skipped"
    done = subprocess.run([*command, "serve"], capture_output=True, timeout=100, check=False)
    assert done.returncode == 1
    assert b"awaaztwin[server]" in done.stderr
    done = subprocess.run([*command, "voices"], capture_output=True, timeout=100, check=False)
    assert b"No server answers" in done.stderr


def test_the_packages_are_those_of_the_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    extra = {
        requirement.split(">")[0].split("=")[0].split("[")[0]
        for requirement in (*extras["server-core"], *extras["server"])
    }
    assert {*SERVER_MODULES, *FASTER_MODULES} == extra - {"awaaztwin"}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os.kill(os.getpid(), 11)", "crashed with signal 11"),
        ("import sys; sys.exit('out of luck')", "out of luck"),
        ("print('what')", "unreadable answer"),
        ("import threading; threading.Event().wait()", "took longer"),
    ],
)
def test_probes_that_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str) -> None:
    (tmp_path / "wretch.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ProbeError, match=said):
        probe("wretch", timeout=1.0)
