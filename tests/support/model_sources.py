"""Sources of models on this machine: a hub, a registry of npm's, wheels in a folder."""

import base64
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

REVISION = "0123456789abcdef0123456789abcdef01234567"


def described(path: str, contents: bytes, **more: Any) -> dict[str, Any]:
    """A file of a manifest."""
    return {"path": path, "size": len(contents), "sha256": hashlib.sha256(contents).hexdigest(), **more}


def make_wheel(folder: Path, name: str, members: Mapping[str, bytes], version: str = "1.0.0") -> Path:
    """A wheel that pip takes."""
    stem = f"{name.replace('-', '_')}-{version}"
    about = {
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{stem}.dist-info/RECORD": b"",
    }
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, contents in {**members, **about}.items():
            archive.writestr(member, contents)
    return path


def make_tarball(members: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A package as npm packs it; ``links`` are symbolic links in it, before the files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
        for name, contents in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(contents)
            archive.addfile(info, io.BytesIO(contents))
    return packed.getvalue()


class Hub:
    """What a hub has, and how it behaves.

    Attributes:
        files: Member → contents, of every repository at :data:`REVISION`.
        asked: What was asked for: the path, and the range if any.
        cut: Bytes after which the next answers are cut off, one each.
        ranges: Whether it answers to ranges.
        loops: Whether it sends callers to where they came from.
        gate: Waited for before bytes are sent.
    """

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.tokens: list[str | None] = []
        self.cut: list[int] = []
        self.ranges = True
        self.loops = False
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()

    def fetched(self, member: str) -> list[str | None]:
        """The ranges in which a file's bytes were asked for."""
        return [asked for path, asked in self.asked if path == f"/cdn/{member}"]


@contextmanager
def hub() -> Generator[Hub, None, None]:
    """A hub that sends large files from another path, as Hugging Face's does."""
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

        def do_GET(self) -> None:
            state.asked.append((self.path, self.headers["range"]))
            if self.path.startswith("/cdn/"):
                self._send(state.files[self.path.removeprefix("/cdn/")])
                return
            state.tokens.append(self.headers["authorization"])
            _, _, member = self.path.partition(f"/resolve/{REVISION}/")
            if state.status != 200 or member not in state.files:
                self._answer(state.status if state.status != 200 else 404, {})
                return
            contents = state.files[member]
            linked = {
                "location": self.path if state.loops else f"/cdn/{member}",
                "x-repo-commit": REVISION,
                "x-linked-size": str(len(contents)),
                "x-linked-etag": f'"{hashlib.sha256(contents).hexdigest()}"',
            }
            self._answer(302, linked)

        def _answer(self, status: int, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def _send(self, contents: bytes) -> None:
            asked = self.headers["range"] if state.ranges else None
            first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("content-range", f"bytes {first}-{len(contents) - 1}/{len(contents)}")
            self.send_header("content-length", str(len(contents) - first))
            self.end_headers()
            state.gate.wait(30)
            body = contents[first:]
            if state.cut:
                self.wfile.write(body[: state.cut.pop(0)])
                self.close_connection = True
            else:
                self.wfile.write(body)

    with _serving(Handler) as url:
        state.url = url
        yield state


@contextmanager
def registry(name: str, version: str, tarball: bytes) -> Generator[str, None, None]:
    """The URL of a registry of npm's protocol with one package."""
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

        def do_GET(self) -> None:
            host = f"http://{self.headers['host']}"
            dist = {"tarball": f"{host}/{name}/-/{name}-{version}.tgz", "integrity": integrity}
            about = {"name": name, "version": version, "dist": dist}
            packument = {"name": name, "dist-tags": {"latest": version}, "versions": {version: about}}
            bodies = {f"/{name}": json.dumps(packument).encode(), f"/{name}/-/{name}-{version}.tgz": tarball}
            body = bodies.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

    with _serving(Handler) as url:
        yield url


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Generator[str, None, None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
