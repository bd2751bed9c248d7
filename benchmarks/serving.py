"""A real server for the benchmarks: `bentoml serve` on a free port of 127.0.0.1, with a configuration of its own."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import yaml

START_TIMEOUT = 120.0
STOP_TIMEOUT = 30.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve(
    settings: dict[str, object],
    service: str = "Gateway",
    ready: str = "/health/ready",
    checkout: Path | None = None,
) -> Generator[tuple[str, int], None, None]:
    """Serve ``services.bento:<service>`` with ``settings``; gives its address and the supervisor's process id.

    The code is that of another checkout where one is named, with the libraries of this one.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="awaaztwin-bench-") as folder:
        path = Path(folder) / "configuration.yaml"
        server = {"host": "127.0.0.1", "port": port, "log_level": "warning"}
        kept = {"storage": {"db_url": f"sqlite:///{folder}/awaaztwin.db"}}
        path.write_text(yaml.safe_dump({"server": server, **kept, **settings}), encoding="utf-8")
        environment = {
            **os.environ,
            "AWAAZTWIN_CONFIG": str(path),
            "BENTOML_DO_NOT_TRACK": "True",
            "BENTOML_HOME": folder,
            **({} if checkout is None else {"PYTHONPATH": str(checkout)}),
        }
        command = [sys.executable, "-m", "bentoml", "serve", f"services.bento:{service}"]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(port)],
                cwd=checkout,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        address = f"http://127.0.0.1:{port}"
        try:
            _wait(process, address + ready, Path(folder) / "log")
            yield address, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise RuntimeError("the server did not start:\n" + log.read_text(errors="replace")[-4000:])


def memory(pid: int) -> dict[str, float]:
    """MiB of unique memory of each process below ``pid``, by what it runs."""
    supervisor = psutil.Process(pid)
    sizes: dict[str, float] = {}
    for process in [supervisor, *supervisor.children(recursive=True)]:
        command = " ".join(process.cmdline())
        name = "supervisor" if process.pid == pid else _role(command)
        sizes[f"{name} {process.pid}"] = process.memory_full_info().uss / 2**20
    return sizes


def _role(command: str) -> str:
    if "engines.espeak" in command:
        return "espeak worker"
    return "runner" if "--service-name engine_" in command else "gateway"
