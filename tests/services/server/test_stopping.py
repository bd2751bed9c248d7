"""A server that is told to stop finishes what it has begun and refuses what is new."""

import io
import os
import signal
import sqlite3
import threading
import wave
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from live import ENGINES, Server, eventually, start
from voices import TONE, create, settled

STREAMS = 12
TEXT = "Each of these sentences is spoken to its end, whoever ends the server. " * 50
PATIENCE = 120.0
PATIENT: dict[str, Any] = {
    "server": {"shutdown_grace_seconds": 300.0},
    "limits": {"client_stall_timeout_seconds": 300.0},
}
"""A server that waits for this machine, however busy it is."""


def body(engine: str, text: str = TEXT) -> dict[str, str]:
    voice = "tone" if engine in {"TONE", "SLOW"} else "en-us"
    return {"model": engine, "voice": voice, "input": text, "response_format": "wav"}


def to_the_supervisor(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)


def to_all_of_them(server: Server) -> None:
    """As systemd does."""
    os.killpg(server.process.pid, signal.SIGTERM)


def from_the_keyboard(server: Server) -> None:
    """Ctrl-C in a terminal."""
    os.killpg(server.process.pid, signal.SIGINT)


class Stream:
    """One answer, its first bytes read at once, the rest when it is wanted."""

    def __init__(self, server: Server, engine: str, wanted: threading.Event) -> None:
        self.begun = threading.Event()
        self._server = server
        self._engine = engine
        self._wanted = wanted

    def read(self) -> bytes:
        url, received = f"{self._server.api}/audio/speech", b""
        with httpx.stream("POST", url, json=body(self._engine), timeout=PATIENCE) as answer:
            assert answer.status_code == 200
            for data in answer.iter_raw():
                received += data
                if not self.begun.is_set():
                    self.begun.set()
                    assert self._wanted.wait(PATIENCE)
        return received


def seconds(content: bytes) -> float:
    """Of a WAV whose head was written before its length was known."""
    with wave.open(io.BytesIO(content)) as file:
        frame = file.getsampwidth() * file.getnchannels()
        head = content.index(b"data") + 8
        return (len(content) - head) / frame / file.getframerate()


@pytest.mark.parametrize("tell", [to_the_supervisor, to_all_of_them, from_the_keyboard])
def test_what_has_begun_is_finished_and_what_is_new_is_refused(
    tmp_path: Path, tell: Callable[[Server], None]
) -> None:
    engines = [*ENGINES[:1], {**ENGINES[3], "options": {"base_ms": 20, "seconds_per_char": 0.06}}]
    server = start(tmp_path, {"engines": engines, **PATIENT})
    wanted = threading.Event()
    names = [("ESPEAK", "SLOW")[index % 6 == 5] for index in range(STREAMS)]
    try:
        whole = {
            name: seconds(httpx.post(f"{server.api}/audio/speech", json=body(name), timeout=PATIENCE).content)
            for name in set(names)
        }
        assert min(whole.values()) > 60
        streams = [Stream(server, name, wanted) for name in names]
        with ThreadPoolExecutor(STREAMS) as pool, httpx.Client(base_url=server.url, timeout=30) as idle:
            reading: list[Future[bytes]] = [pool.submit(stream.read) for stream in streams]
            try:
                assert all(stream.begun.wait(PATIENCE) for stream in streams)
                assert idle.get("/health/ready").status_code == 200
                tell(server)
                eventually(lambda: idle.get("/health/ready").status_code == 503)
                check_refusals(server, idle)
                assert server.process.poll() is None
            finally:
                wanted.set()
            for name, done in zip(names, reading, strict=True):
                # eSpeak NG ends the same sentence a few milliseconds sooner or later.
                assert seconds(done.result(PATIENCE)) == pytest.approx(whole[name], abs=0.5)
        assert server.process.wait(60) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/health/live")
    finally:
        wanted.set()
        server.stop()


def check_refusals(server: Server, idle: httpx.Client) -> None:
    """On connections from before, and on new ones."""
    speech = body("ESPEAK", "Hello.")
    for answer in (
        idle.post("/v1/audio/speech", json=speech),
        httpx.post(f"{server.api}/audio/speech", json=speech, timeout=30),
        httpx.get(f"{server.api}/models", timeout=30),
    ):
        assert answer.status_code == 503
        assert answer.headers["connection"] == "close"
        assert answer.headers["retry-after"] == "1"
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert (error["type"], error["code"]) == ("server_error", "stopping")
    assert httpx.get(f"{server.url}/health/live", timeout=30).status_code == 200
    ready = httpx.get(f"{server.url}/health/ready", timeout=30)
    assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
    assert ready.json()["parts"]["gateway"] == {"ready": False, "streams": STREAMS}


def test_what_takes_longer_than_the_grace_is_cut(tmp_path: Path) -> None:
    """One client that does not read holds the server up no longer than that."""
    server = start(tmp_path, {"engines": ENGINES[:1], "server": {"shutdown_grace_seconds": 1.0}})
    wanted = threading.Event()
    try:
        stream = Stream(server, "ESPEAK", wanted)
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(stream.read)
            try:
                assert stream.begun.wait(PATIENCE)
                to_the_supervisor(server)
                assert server.process.wait(60) == 0
            finally:
                wanted.set()
            with pytest.raises(httpx.HTTPError):
                reading.result(PATIENCE)
    finally:
        server.stop()


def test_voices_being_prepared_are_handed_back(tmp_path: Path) -> None:
    """At once, though the server still answers: another Gateway need not wait for the end of the lease."""
    slow = {**TONE, "options": {**TONE["options"], "prepare_ms": 600_000}}
    server = start(tmp_path, {"engines": [slow, ENGINES[0]], **PATIENT})
    wanted = threading.Event()
    try:
        with httpx.Client(base_url=server.url, timeout=60) as client, ThreadPoolExecutor(2) as pool:
            voice = create(client, "Cut off")["id"]
            eventually(lambda: claims(tmp_path) == [("processing", True)])
            stream = Stream(server, "ESPEAK", wanted)
            reading = pool.submit(stream.read)
            watching = pool.submit(httpx.get, f"{server.url}/voices/{voice}/events", timeout=PATIENCE)
            try:
                assert stream.begun.wait(PATIENCE)
                to_the_supervisor(server)
                eventually(lambda: claims(tmp_path) == [("pending", False)])
                assert server.process.poll() is None
                # Who watches is told to come again, instead of holding the server up.
                assert watching.result(PATIENCE).status_code == 200
            finally:
                wanted.set()
            assert seconds(reading.result(PATIENCE)) > 60
        assert server.process.wait(60) == 0
    finally:
        wanted.set()
        server.stop()
    server = start(tmp_path, {"engines": [TONE, ENGINES[0]]})
    try:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            assert settled(client, voice)["state"] == "ready"
    finally:
        server.stop()


def claims(folder: Path) -> list[tuple[str, bool]]:
    """The state of what is to be prepared for the slow engine, and whether somebody has it."""
    with closing(sqlite3.connect(folder / "awaaztwin.db", timeout=30)) as database:
        query = "SELECT state, lease IS NOT NULL FROM voice_embeddings WHERE engine = 'TONE'"
        rows = database.execute(query).fetchall()
    return [(state, bool(held)) for state, held in rows]
