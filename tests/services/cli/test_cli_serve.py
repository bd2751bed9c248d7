"""``serve``: real processes, from their start to their end, however it comes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from services.cli.app import app
from services.cli.serve import serving_command, serving_environment
from services.config import ServerConfig, Settings

SERVE = [sys.executable, "-c", "from services.cli import main; main()", "serve"]
CONFIGURATION = """
engines:
  - name: TONES
    type: SYNTHETIC
    options: {base_ms: 1, item_ms: 0, seconds_per_char: 0.01}
"""
END_TIMEOUT = 30
"""Seconds in which all processes have ended."""


class Served:
    """A running ``awaaztwin serve``, which has said that it is ready."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.errors = folder / "errors"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*SERVE, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert self.process.stdout is not None
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if "hello.mp3" in line:
                break
        self.family = [psutil.Process(self.process.pid)]
        self.family += self.family[0].children(recursive=True)

    def ended(self) -> bool:
        """Whether no process of it is left, in time."""
        try:
            self.process.wait(timeout=END_TIMEOUT)
        except subprocess.TimeoutExpired:
            return False
        _, alive = psutil.wait_procs(self.family, timeout=END_TIMEOUT)
        return not alive

    def clear(self) -> None:
        """End what is left."""
        for process in self.family:
            if process.is_running():
                process.kill()
        self.process.wait(timeout=END_TIMEOUT)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def served(elsewhere: Path, tmp_path: Path, free_port: int) -> Iterator[Served]:
    (elsewhere / "mine.yaml").write_text(CONFIGURATION)
    server = Served(tmp_path, "--config", "mine.yaml", "--host", "localhost", "--port", str(free_port))
    yield server
    server.clear()


def test_serve_speak_and_stop(cli: CliRunner, served: Served, free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}"
    assert f"ready: {url}" in served.said, served.errors.read_text()
    assert f"{url}/docs" in served.said
    # What was printed is a request that works.
    command = served.said[served.said.index("curl") :]
    subprocess.run(["bash", "-c", command], timeout=60, check=True)
    assert Path("hello.mp3").stat().st_size > 500
    assert cli.invoke(app, ["say", "--url", url, "--out", "a.wav", "Hello."]).exit_code == 0
    again = cli.invoke(app, ["serve", "--port", str(free_port)])
    assert again.exit_code == 1
    assert f"already running: {url}" in again.stderr
    served.process.send_signal(signal.SIGTERM)
    assert served.ended()
    assert served.process.returncode == 0
    assert "Traceback" not in served.errors.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_no_orphan_outlives_a_kill(served: Served) -> None:
    assert len(served.family) > 2
    served.process.kill()
    assert served.ended()


def test_the_settings_of_every_process(tmp_path: Path) -> None:
    environment = serving_environment({"A": "1"}, host="::1", port=9, config=tmp_path / "c.yaml")
    assert environment == {
        "A": "1",
        "AWAAZTWIN_CONFIG": str(tmp_path / "c.yaml"),
        "AWAAZTWIN_SERVER__HOST": "::1",
        "AWAAZTWIN_SERVER__PORT": "9",
        "BENTOML_DO_NOT_TRACK": "True",
    }
    assert serving_environment({}, host=None, port=None, config=None) == {"BENTOML_DO_NOT_TRACK": "True"}


def test_what_bentoml_is_told() -> None:
    settings = Settings(server=ServerConfig(port=9, keep_alive_seconds=0, shutdown_grace_seconds=1.5))
    command = serving_command("127.0.0.1", settings)
    assert command[1:5] == ["-m", "bentoml", "serve", "services.bento:Gateway"]
    options = dict(zip(command[5::2], command[6::2], strict=True))
    assert options == {
        "--host": "127.0.0.1",
        "--port": "9",
        "--timeout-keep-alive": "1",
        "--timeout-graceful-shutdown": "2",
    }


def test_settings_are_checked_first(cli: CliRunner) -> None:
    result = cli.invoke(app, ["serve", "--host", "192.0.2.1"])
    assert result.exit_code == 1
    assert "server.host" in result.stderr


def test_a_port_that_is_taken(cli: CliRunner, gateway: str) -> None:
    result = cli.invoke(app, ["serve", "--port", gateway.rpartition(":")[2]])
    assert result.exit_code == 1
    assert "already running" in result.stderr


def test_a_folder_that_would_be_taken_for_ours(cli: CliRunner, elsewhere: Path) -> None:
    (elsewhere / "engines").mkdir()
    (elsewhere / "engines" / "__init__.py").touch()
    result = cli.invoke(app, ["serve"])
    assert result.exit_code == 1
    assert os.fspath(elsewhere / "engines") in result.stderr
