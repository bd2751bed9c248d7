"""Clients that stop reading: they keep nothing that others wait for."""

import json
import socket
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from live import eventually, start
from tenants import Tenant, Tenants, error, settings, start_tenants

SECONDS_PER_CHAR = 0.06
ENGINE = {
    "name": "TONE",
    "type": "SYNTHETIC",
    "batching": {"max_queue": 10_000},
    "options": {"base_ms": 0, "item_ms": 0, "seconds_per_char": SECONDS_PER_CHAR},
}
SENTENCE = "This is a sentence. "
SENTENCES = 120
LONG = SENTENCE * SENTENCES
"""More audio than the system's buffers of a connection take: 7 MB."""

SHORT = {"model": "TONE", "voice": "tone", "input": "Hello.", "response_format": "pcm"}


class Reader:
    """A client on a bare socket that reads the head of its answer, and more only when it is told to."""

    def __init__(self, server: str, tenant: Tenant, text: str = LONG) -> None:
        address = httpx.URL(server)
        body = json.dumps({**SHORT, "input": text}).encode()
        self._socket = socket.socket()
        # What is not read stays with the server, but for these.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self._socket.settimeout(120)
        self._socket.connect((address.host, address.port))
        head = f"POST /v1/audio/speech HTTP/1.1\r\nhost: {address.host}\r\nconnection: close\r\n"
        head += f"authorization: Bearer {tenant.key}\r\ncontent-type: application/json\r\n"
        self._socket.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers: dict[str, str] = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()

    def rest(self) -> bytes:
        """The rest of the body, to its end."""
        read = b""
        while size := int(self._file.readline(), 16):
            read += self._file.read(size)
            self._file.readline()
        return read

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@pytest.fixture
def readers() -> Generator[list[Reader], None, None]:
    opened: list[Reader] = []
    yield opened
    for reader in opened:
        reader.close()


def serve(folder: Path, streams: int) -> Tenants:
    # Nothing ends by waiting long enough.
    given = settings(limits={"max_concurrent_streams": streams, "client_stall_timeout_seconds": 3_000})
    given["server"] = {"request_timeout_seconds": 3_000}
    given["engines"] = [ENGINE]
    return start_tenants(folder, given)


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Generator[Tenants, None, None]:
    running = serve(tmp_path_factory.mktemp("many"), 128)
    yield running
    running.server.stop()


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Generator[Tenants, None, None]:
    running = serve(tmp_path_factory.mktemp("few"), 16)
    yield running
    running.server.stop()


def speak(tenants: Tenants, tenant: Tenant) -> httpx.Response:
    url = f"{tenants.server.api}/audio/speech"
    return httpx.post(url, json=SHORT, headers=tenant.headers(), timeout=120)


def streams(tenants: Tenants) -> int:
    answer = httpx.get(f"{tenants.server.url}/health/ready", timeout=60)
    return int(answer.json()["parts"]["gateway"]["streams"])


def test_slow_readers_of_one_tenant_cost_another_nothing(tenants: Tenants, readers: list[Reader]):
    for _ in range(128):
        reader = Reader(tenants.server.url, tenants.a)
        readers.append(reader)
        if reader.status != 200:
            break
    assert [reader.status for reader in readers] == [200] * 120 + [429]
    assert int(readers[-1].headers["retry-after"]) >= 1
    for _ in range(20):
        answer = speak(tenants, tenants.b)
        assert answer.status_code == 200, answer.text
    # Several at once, too.
    others = [Reader(tenants.server.url, tenants.b) for _ in range(4)]
    readers += others
    assert {reader.status for reader in others} == {200}
    refused = speak(tenants, tenants.a)
    assert (refused.status_code, error(refused)["type"]) == (429, "rate_limit_exceeded")
    assert "share" in error(refused)["message"]

    # The flood leaves: the other one may have everything but the reserve.
    while readers:
        readers.pop().close()
    eventually(lambda: streams(tenants) == 0)
    readers += [Reader(tenants.server.url, tenants.b) for _ in range(121)]
    assert [reader.status for reader in readers] == [200] * 120 + [429]
    assert speak(tenants, tenants.a).status_code == 200


def test_a_slow_reader_keeps_no_place_that_others_need(few: Tenants, readers: list[Reader]):
    slow: list[Reader] = []
    while (reader := Reader(few.server.url, few.a)).status == 200:
        slow.append(reader)
    readers += [*slow, reader]
    assert len(slow) == 14

    mine: list[Reader] = []

    def gets_its_share() -> bool:
        reader = Reader(few.server.url, few.b)
        if reader.status == 200:
            mine.append(reader)
        readers.append(reader)
        return len(mine) == 7

    eventually(gets_its_share, 200)
    # Nobody was cut: whoever gave its place back has all of its audio, and so has whoever has it still.
    samples = round(SENTENCES * len(SENTENCE.strip()) * SECONDS_PER_CHAR * 24_000)
    assert {len(reader.rest()) for reader in (*slow, *mine)} == {2 * samples}


def test_local_mode_has_all_places(tmp_path: Path, readers: list[Reader]):
    server = start(tmp_path, {"engines": [ENGINE], "limits": {"max_concurrent_streams": 4}})
    try:
        nobody = Tenant("", "", "none", "")
        readers += [Reader(server.url, nobody) for _ in range(5)]
        assert [reader.status for reader in readers] == [200] * 4 + [429]
    finally:
        # A server that is told to stop waits for what it is sending.
        while readers:
            readers.pop().close()
        server.stop()
