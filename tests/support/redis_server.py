"""Redis for tests: the one that is there, and one of the test's own that may be stopped."""

import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest

from workers import WORKER, free_port, stopped_unless_ready

URL = os.environ.get("AWAAZTWIN_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")

DATABASES = 16
"""How many a Redis has that is not told otherwise."""


@functools.cache
def redis_url() -> str:
    """The address of a Redis: the one that is there, else one that is started for these tests."""
    address = urlsplit(URL)
    try:
        socket.create_connection((address.hostname or "127.0.0.1", address.port or 6379), timeout=2).close()
    except OSError:
        return _started()
    # Each worker has a database of its own: what it counts, no other counts too.
    database = int(address.path.strip("/") or 0) + WORKER
    if database >= DATABASES:
        return _started()
    return urlunsplit(address._replace(path=f"/{database}"))


def _started() -> str:
    own = OwnRedis()
    own.start()
    atexit.register(own.stop)
    return own.url


class OwnRedis:
    """A Redis that a test may stop and start."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = shutil.which("redis-server")
        if command is None:
            pytest.skip("no Redis at AWAAZTWIN_TEST_REDIS_URL, and no redis-server is installed")
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([command, *arguments], stdout=subprocess.DEVNULL)
        with stopped_unless_ready(self.stop):
            self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, "Redis did not start"
                time.sleep(0.02)
            else:
                return

    def pause(self) -> None:
        """Have it answer nobody, though what is sent to it arrives, until :meth:`resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        if self._process is not None:
            self.resume()
            self._process.terminate()
            self._process.wait(20)
            self._process = None


@contextmanager
def own_redis() -> Generator[OwnRedis, None, None]:
    redis = OwnRedis()
    redis.start()
    try:
        yield redis
    finally:
        redis.stop()
