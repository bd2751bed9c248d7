"""KOKORO over HTTP: the server `fastkokoro` on the same weights, and one request to it or to ours, timed piece by piece."""

import os
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import httpx
from contestants import RATE, Weights, pack_voices

from serving import free_port
from spoken import Spoken

START_TIMEOUT: Final = 300.0
"""Seconds: `fastkokoro` simplifies the graph when it first starts."""
STOP_TIMEOUT: Final = 20.0
REQUEST_TIMEOUT: Final = 600.0
RUN: Final = "from fastkokoro.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Heard(Spoken):
    """A sentence that was streamed.

    Attributes:
        late: Seconds that a player which starts at the first piece has to wait for later ones, altogether.
    """

    late: float


def session(address: str) -> aiohttp.ClientSession:
    """For any number of callers of a server."""
    return aiohttp.ClientSession(
        address,
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT),
    )


async def ask(client: aiohttp.ClientSession, text: str, *, model: str, voice: str) -> Heard:
    """Have a sentence spoken, as pcm that is read as it comes.

    Raises:
        RuntimeError: The server refused it.
    """
    # fastkokoro streams what says `stream`; ours streams in any case.
    body = {"model": model, "voice": voice, "input": text, "response_format": "pcm"}
    extra = {"stream": True} if model == "kokoro" else {}
    begin = time.perf_counter()
    first = late = 0.0
    size = 0
    async with client.post("/v1/audio/speech", json={**body, **extra}) as answer:
        if answer.status != 200:
            raise RuntimeError(await answer.text())
        async for data in answer.content.iter_any():
            now = time.perf_counter() - begin
            first = first or now
            late += max(0.0, now - (first + late + size / 2 / RATE))
            size += len(data)
    return Heard(first=first, total=time.perf_counter() - begin, audio=size / 2 / RATE, late=late)


@contextmanager
def fastkokoro(weights: Weights) -> Generator[str, None, None]:
    """`fastkokoro` on a free port of 127.0.0.1, with its own settings but for the weights; gives its address."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="awaaztwin-bench-") as temporary:
        folder = Path(temporary)
        pack_voices(weights.voices, folder / "voices.npz")
        environment = {
            **os.environ,
            "FASTKOKORO_MODEL_PATH": str(weights.model),
            "FASTKOKORO_VOICES_PATH": str(folder / "voices.npz"),
            "FASTKOKORO_CACHE_DIR": str(folder / "cache"),
            "FASTKOKORO_HOST": "127.0.0.1",
            "FASTKOKORO_PORT": str(port),
            "HF_HUB_OFFLINE": "1",
        }
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [str(weights.python), "-c", RUN], stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        address = f"http://127.0.0.1:{port}"
        try:
            _wait(process, address, folder / "log")
            yield address
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"{address}/docs", timeout=5)
        except httpx.TransportError:
            time.sleep(0.5)
            continue
        return
    raise RuntimeError("fastkokoro did not start:\n" + log.read_text(errors="replace")[-4000:])
