"""Uploads that do not end: none holds the disk for long, and no tenant holds all that is taken in at once."""

import socket
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from live import Server, eventually
from tenants import Tenant, Tenants, error, settings, start_tenants
from voices import TONE, recording, samples

MIB = 1024 * 1024
HEAD = b'--x\r\ncontent-disposition: form-data; name="samples"; filename="a.wav"\r\n\r\n'


class Upload:
    """A form of so many bytes, of which the last is withheld."""

    def __init__(
        self, server: str, tenant: Tenant, size: int, *, chunked: bool = False, path: str = "/voices"
    ) -> None:
        address = httpx.URL(server)
        self._socket = socket.create_connection((address.host, address.port), timeout=60)
        length = "transfer-encoding: chunked" if chunked else f"content-length: {size}"
        head = f"POST {path} HTTP/1.1\r\nhost: {address.host}\r\nauthorization: Bearer {tenant.key}\r\n"
        head += f"content-type: multipart/form-data; boundary=x\r\n{length}\r\n\r\n"
        self._socket.sendall(head.encode())
        body = HEAD + bytes(size - len(HEAD) - 1)
        self._socket.sendall(b"%x\r\n%b\r\n" % (len(body), body) if chunked else body)

    def answer(self, *, whole: bool = False) -> tuple[int, bytes]:
        """Status and what the server sends: for now, or until it closes."""
        answer = b""
        while data := self._socket.recv(65_536):
            answer += data
            if b"\r\n" in answer and not whole:
                break
        return int(answer.split()[1]), answer

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def opened() -> Generator[list[Upload], None, None]:
    uploads: list[Upload] = []
    yield uploads
    for upload in uploads:
        upload.close()


def serve(folder: Path, **sections: Any) -> Tenants:
    given = settings(
        limits={"max_upload_bytes": 8 * MIB, "max_concurrent_upload_bytes": 32 * MIB}, **sections
    )
    given["engines"] = [TONE]
    return start_tenants(folder, given)


def held(server: Server) -> int:
    """Bytes of the Gateway's temporary files, which nobody sees in their folder."""
    total = 0
    for entry in Path(f"/proc/{server.worker('Gateway').pid}/fd").iterdir():
        try:
            where = str(entry.readlink())
            if where.startswith(tempfile.gettempdir()) and where.endswith("(deleted)"):
                total += entry.stat().st_size
        except OSError:  # closed meanwhile
            continue
    return total


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at a process's open files")
def test_an_upload_whose_end_is_withheld_ends(tmp_path: Path, opened: list[Upload]):
    tenants = serve(tmp_path, server={"request_timeout_seconds": 10})
    try:
        opened += [Upload(tenants.server.url, tenants.a, 2 * MIB) for _ in range(4)]
        for upload in opened:
            status, answer = upload.answer(whole=True)  # it closes
            assert status == 408
            assert b'"code":"request_timeout"' in answer
        eventually(lambda: held(tenants.server) == 0)
        # Whatever the body is for.
        opened.append(Upload(tenants.server.url, tenants.a, 1_000, path="/v1/audio/speech"))
        assert opened[-1].answer()[0] == 408
    finally:
        tenants.server.stop()


def test_one_tenants_uploads_leave_room_for_another(tmp_path: Path, opened: list[Upload]):
    tenants = serve(tmp_path)
    try:
        # The reserve is 2 MiB of 32: these are 28 and another would make 35.
        opened += [Upload(tenants.server.url, tenants.a, 7 * MIB) for _ in range(4)]
        with tenants.client(tenants.a) as client, tenants.client(tenants.b) as other:
            body = samples(b"x" * 3 * MIB)

            def refused() -> bool:
                answer = client.post("/voices", data={"name": "More"}, files=body)
                if answer.status_code != 429:
                    return False
                assert (error(answer)["code"], answer.headers["retry-after"]) == ("too_many_uploads", "1")
                return True

            eventually(refused)
            # A body that does not say how long it is is counted as it comes.
            unsaid = Upload(tenants.server.url, tenants.a, 3 * MIB, chunked=True)
            opened.append(unsaid)
            assert unsaid.answer()[0] == 429

            made = other.post("/voices", data={"name": "Theirs"}, files=samples(recording("nova")))
            assert made.status_code == 201, made.text
            for upload in opened:
                upload.close()
            eventually(
                lambda: (
                    client.post(
                        "/voices", data={"name": "Mine"}, files=samples(recording("nova"))
                    ).status_code
                    == 201
                )
            )
    finally:
        tenants.server.stop()
