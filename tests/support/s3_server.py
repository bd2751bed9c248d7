"""An S3 server: moto's in a process of its own, or the one that AWAAZTWIN_TEST_S3_URL names."""

import os
import subprocess
import sys
import time

import httpx
import pytest

from storage.config import ObjectStoreConfig

from workers import free_port, stopped_unless_ready

BUCKET = "awaaztwin-test"


class S3Server:
    """An S3 server that a test may stop and start."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "moto.server",
            "-H",
            "127.0.0.1",
            "-p",
            str(self.port),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with stopped_unless_ready(self.stop):
            self._make_bucket(self._process)

    def _make_bucket(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                # Anybody may make a bucket in it.
                httpx.put(f"{self.url}/{BUCKET}", timeout=5).raise_for_status()
            except httpx.TransportError:
                assert process.poll() is None, "the S3 server ended"
                assert time.monotonic() < deadline, "the S3 server did not start"
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    @property
    def config(self) -> ObjectStoreConfig:
        return s3_config(self.url, "test", "test-secret")


def s3_config(url: str, key: str, secret: str) -> ObjectStoreConfig:
    return ObjectStoreConfig.model_validate(
        {"type": "s3", "bucket": BUCKET, "endpoint_url": url, "access_key": key, "secret_key": secret}
    )


def given_s3() -> ObjectStoreConfig | None:
    """The S3 of the environment, whose bucket is there already."""
    url = os.environ.get("AWAAZTWIN_TEST_S3_URL")
    if url is None:
        return None
    try:
        return s3_config(url, os.environ["AWAAZTWIN_TEST_S3_KEY"], os.environ["AWAAZTWIN_TEST_S3_SECRET"])
    except KeyError as error:
        pytest.fail(f"AWAAZTWIN_TEST_S3_URL needs {error.args[0]}")
