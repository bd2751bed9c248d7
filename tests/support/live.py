"""A real server: `bentoml serve` with the embedded engine and a tone engine, on a free port of 127.0.0.1."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from workers import free_port, stopped_unless_ready

START_TIMEOUT = 120.0
STOP_TIMEOUT = 30.0

ENGINES: list[dict[str, Any]] = [
    {"name": "ESPEAK", "type": "ESPEAK"},
    {
        "name": "TONE",
        "type": "SYNTHETIC",
        "max_concurrent_jobs": 1,
        "batching": {"max_batch_size": 1, "max_queue": 2},
        "options": {
            "base_ms": 20,
            "item_ms": 0,
            "seconds_per_char": 0.02,
            "fail_on": "FAIL",
            "crash_on": "CRASH",
        },
    },
    {"name": "BROKEN", "type": "SYNTHETIC", "options": {"fail_load": True}},
    {"name": "SLOW", "type": "SYNTHETIC", "max_concurrent_jobs": 1, "options": {"base_ms": 300}},
]


def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until a condition of another process holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)


@dataclass
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def api(self) -> str:
        return f"{self.url}/v1"

    def workers(self) -> list[psutil.Process]:
        """Every process below the supervisor."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def worker(self, of: str) -> psutil.Process:
        """The Gateway's process, or a runner's (``engine_tone``)."""
        marker = ["--service-name", of]
        for process in self.workers():
            try:
                line = process.cmdline()
            except psutil.NoSuchProcess:
                continue
            if any(line[i : i + 2] == marker for i in range(len(line))):
                return process
        raise LookupError(of)

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def engine(self, name: str) -> dict[str, Any]:
        """What readiness says of an engine."""
        parts = httpx.get(f"{self.url}/health/ready", timeout=10).json()["parts"]
        return parts["engines"][name]

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                raise


def start(folder: Path, settings: dict[str, Any], port: int = 0) -> Server:
    """Start a server and wait until it is ready; on a free port unless one is named."""
    port = port or free_port()
    config = folder / "configuration.yaml"
    kept = {"db_url": f"sqlite:///{folder}/awaaztwin.db", "object_store": {"path": str(folder / "objects")}}
    defaults: dict[str, dict[str, Any]] = {
        "storage": kept,
        "server": {"host": "127.0.0.1", "port": port, "runtime_folder": str(folder / "runtime")},
        # Tests ask for one error after the other; that they come at a pace is tested apart.
        "limits": {"max_errors_per_second": None},
    }
    settings = settings | {name: given | settings.get(name, {}) for name, given in defaults.items()}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    log = folder / "server.log"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWAAZTWIN_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "bentoml",
                "serve",
                "services.bento:Gateway",
                "--port",
                str(port),
                "--host",
                "127.0.0.1",
            ],
            env={
                **clean,
                "AWAAZTWIN_CONFIG": str(config),
                "BENTOML_DO_NOT_TRACK": "True",
                "BENTOML_HOME": str(folder),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
    deadline = time.monotonic() + START_TIMEOUT
    with stopped_unless_ready(server.stop):
        while not server.ready():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail("the server did not start:\n" + log.read_text(errors="replace")[-6000:])
            time.sleep(0.1)
    return server
