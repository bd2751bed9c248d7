"""Fixtures for all tests."""

import ast
import functools
import gc
import os
import signal
import ssl
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import psutil
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


def _parse_undisturbed() -> None:
    """Pause garbage collection while Python source is parsed.

    Before 3.11.8 and 3.12.2, `ast.parse` raises SystemError ("AST constructor recursion depth mismatch",
    CPython gh-106905) if another parse runs inside it, which a finalizer can start. pytest parses source to
    show a failed test: the error would end the whole run.
    """
    parse = ast.parse
    alone = threading.RLock()

    @functools.wraps(parse)
    def undisturbed(*args: Any, **options: Any) -> ast.AST:
        with alone:
            collected = gc.isenabled()
            gc.disable()
            try:
                return parse(*args, **options)
            finally:
                if collected:
                    gc.enable()

    ast.parse = undisturbed


if sys.version_info < (3, 12, 2):
    _parse_undisturbed()

# Each of httpx's clients reads all certificates, which takes longer than most requests; tests speak no TLS.
ssl.create_default_context = functools.cache(ssl.create_default_context)

# A busy machine fails no test.
settings.register_profile("awaaztwin", deadline=None)
settings.load_profile("awaaztwin")


_TIMEOUT = pytest.StashKey[Any]()


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> None:
    item.stash[_TIMEOUT] = settings


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Restart the timeout for a rerun: pytest-timeout gives both runs one, which may have expired."""
    if getattr(item, "execution_count", 1) > 1 and _TIMEOUT in item.stash:
        item.ihook.pytest_timeout_cancel_timer(item=item)
        item.ihook.pytest_timeout_set_timer(item=item, settings=item.stash[_TIMEOUT])


GIB_EACH = 3
"""Memory of a process that runs tests, and of the servers it starts."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` is: three processes for two cores, as far as there is memory for them.

    A third of the time they wait: for a server to start, or for a limit to pass.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, min((cores * 3 + 1) // 2, psutil.virtual_memory().total // (GIB_EACH << 30)))


LONG_FILES = [
    "test_failures.py",
    "test_tenancy_outages.py",
    "test_stopping.py",
    "test_contract.py",
    "test_request_logs.py",
    "test_tenancy_streams.py",
    "test_hostile_connections.py",
    "test_decoder.py",
    "test_tenancy_accounts.py",
    "test_voices_uploads.py",
    "test_casting_languages.py",
    "test_readiness.py",
    "test_tenancy_logins.py",
    "test_lifecycle.py",
    "test_voices_preparing.py",
    "test_kokoro_server.py",
    "test_models_pull.py",
    "test_slow_readers.py",
    "test_tenancy_proxies.py",
]
"""Files that take more than 20 s, the longest first."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run long files first in a parallel run, so that all processes end at about the same time."""
    if hasattr(config, "workerinput"):
        ranks = {name: rank for rank, name in enumerate(LONG_FILES)}
        items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that passed only when they were run again."""
    stats = terminalreporter.stats
    failed = {report.nodeid for kind in ("failed", "error") for report in stats.get(kind, [])}
    again = dict.fromkeys(report.nodeid for report in stats.get("rerun", []))
    for nodeid in again:
        if nodeid not in failed:
            terminalreporter.write_line(f"flaky: {nodeid}")


@pytest.fixture
def started() -> Callable[[], list[psutil.Process]]:
    """The child processes that the test has started; older ones are servers that tests share."""
    before = set(psutil.Process().children())
    return lambda: [child for child in psutil.Process().children() if child not in before]


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
