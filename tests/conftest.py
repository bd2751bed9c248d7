"""Fixtures for all tests."""

import functools
import signal
import ssl
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from live import ENGINES, Server, start
from weights import kokoro_folder, whisper_folder

__all__ = ["kokoro_folder", "whisper_folder"]


def _heed_signals() -> None:
    """Children ignore what this process ignores: SIGHUP under nohup, SIGINT and SIGQUIT in a script's ``&``.

    What it handles they take as usual.
    """
    for name in ("SIGHUP", "SIGINT", "SIGQUIT"):
        signum = getattr(signal, name, None)
        if signum is not None and signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, lambda *_: None)


_heed_signals()

# Each of httpx's clients reads all certificates, which takes longer than most requests; tests speak no TLS.
ssl.create_default_context = functools.cache(ssl.create_default_context)

# A busy machine fails no test.
settings.register_profile("awaaztwin", deadline=None)
settings.load_profile("awaaztwin")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that passed only when they were run again."""
    stats = terminalreporter.stats
    failed = {report.nodeid for kind in ("failed", "error") for report in stats.get(kind, [])}
    again = dict.fromkeys(report.nodeid for report in stats.get("rerun", []))
    for nodeid in again:
        if nodeid not in failed:
            terminalreporter.write_line(f"flaky: {nodeid}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server, None, None]:
    """One server for all tests that leave it as it was."""
    running = start(tmp_path_factory.mktemp("server"), {"engines": ENGINES})
    yield running
    running.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Generator[Server, None, None]:
    """A server that the test may break."""
    running = start(tmp_path, {"engines": ENGINES})
    yield running
    running.stop()
