"""What strangers send, mutated: run as ``python fuzzing.py TARGET CORPUS -max_total_time=60``.

Each target takes bytes and lets through only the errors that become an answer; anything else, and an input
that takes long or much memory, ends the process with libFuzzer's report.
"""

import asyncio
import hashlib
import importlib
import io
import ipaddress
import json
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

# It has no types.
atheris: Any = importlib.import_module("atheris")

PARSERS = [
    *("services.voices.bundle", "services.uploads", "services.http.proxies", "services.samples.sniff"),
    *("services.routers.audio", "python_multipart", "starlette.formparsers", "zipfile"),
]

with atheris.instrument_imports(include=PARSERS):
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.types import Message, Receive, Scope, Send

    from services.config import QuotaConfig
    from services.errors import ApiError
    from services.escaping import escaped
    from services.http.proxies import TrustedProxies
    from services.quota.limits import allowance
    from services.routers.audio import byte_range
    from services.samples.errors import BadSample
    from services.samples.sniff import sniff
    from services.sharing.shares import Shares
    from services.tenancy.authenticator import LOCAL
    from services.uploads import read_form
    from services.voices.bundle import MANIFEST, BadBundle, read_bundle

Target = Callable[[bytes], None]

WORK: Final = Path(tempfile.mkdtemp(prefix="fuzzing-"))
LOOP: Final = asyncio.new_event_loop()
NAME: Final = "samples/1.wav"
CONTENT: Final = b"RIFF"
BASE: Final = re.compile(r"https?://([a-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


def bundle(data: bytes) -> None:
    """A voice that was exported somewhere."""
    source, folder = WORK / "bundle.zip", WORK / "unpacked"
    source.write_bytes(data)
    folder.mkdir(exist_ok=True)
    with suppress(BadBundle):
        read_bundle(source, folder, most=1_000_000)
    for path in folder.iterdir():
        path.unlink()


def manifest(data: bytes) -> None:
    """A bundle that is whole, with anything for its manifest."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(MANIFEST, data)
        archive.writestr(NAME, CONTENT)
    bundle(target.getvalue())


def form(data: bytes) -> None:
    """A form with files; the first line is its content type."""
    kind, _, body = data.partition(b"\n")
    pieces = [body[: len(body) // 2], body[len(body) // 2 :]]

    async def receive() -> Message:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def read() -> None:
        scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "app": object()}
        request = Request({**scope, "headers": [(b"content-type", kind)]}, receive)
        request.state.principal = LOCAL
        request.state.allowance = allowance(LOCAL, QuotaConfig())
        async with read_form(request, Shares(2**30, sole=True), max_files=3) as parsed:
            parsed.text("name")
            parsed.texts("labels")
            for upload in await parsed.files("files"):
                assert upload.filename.isprintable()
                assert upload.path.parent.name.startswith("awaaztwin-upload-")

    try:
        LOOP.run_until_complete(read())
    except ApiError as error:
        assert 400 <= error.status < 500
    except HTTPException as error:
        assert 400 <= error.status_code < 500


def proxies(data: bytes) -> None:
    """Headers that a trusted proxy passes on: a line each."""
    names = (b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port")
    headers = [(names[line[0] % len(names)], line[1:]) for line in data.split(b"\n") if line]
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    async def none() -> Message:
        return {"type": "http.disconnect"}

    async def nowhere(_message: Message) -> None:
        return

    peer = ("10.0.0.1", 1)
    scope = {"type": "http", "scheme": "http", "client": peer, "server": ("10.0.0.2", 80), "headers": headers}
    LOOP.run_until_complete(TrustedProxies(app, ["10.0.0.0/8"])(scope, none, nowhere))
    client, base = seen[0]["client"][0], seen[0]["state"]["base_url"]
    assert str(ipaddress.ip_address(client)) == client
    assert len(client) < 46
    assert BASE.fullmatch(base)
    assert escaped(base) == base


def ranges(data: bytes) -> None:
    """``Range`` and ``If-Range`` for an object of some size."""
    size = int.from_bytes(data[:2], "big")
    asked, _, condition = data[2:].decode("latin-1").partition("\n")
    first, end = byte_range(asked, condition or None, size=size, etag="abc")
    assert first >= 0
    assert end is None or end <= size
    assert (first, end) == (0, None) or first >= size or (end is not None and first < end)


def sample(data: bytes) -> None:
    """A recording, as far as it is looked at before FFmpeg is."""
    try:
        kind = sniff(io.BytesIO(data))
    except BadSample as error:
        assert escaped(str(error)) == str(error)
    else:
        assert 0 <= kind.start <= len(data)


TARGETS: Final[dict[str, Target]] = {
    "bundle": bundle,
    "manifest": manifest,
    "form": form,
    "proxies": proxies,
    "ranges": ranges,
    "sample": sample,
}


def seeds(target: str) -> list[bytes]:
    """What a target is sent when nobody means harm: where mutation begins."""
    match target:
        case "bundle":
            return [_bundle(method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]
        case "manifest":
            return [_manifest()]
        case "form":
            part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n'
            text = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nAsha\r\n'
            charset = b'--x\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\nutf-16\r\n'
            return [
                b"multipart/form-data; boundary=x\n" + text + part + b"\r\nRIFF\r\n--x--\r\n",
                b"multipart/form-data; boundary=x; charset=utf-7\n" + charset + text + b"--x--\r\n",
                b"application/x-www-form-urlencoded\nname=Asha&labels=%7B%7D",
            ]
        case "proxies":
            return [
                b'\0for="[2001:db8::1]:47";proto=https;host=a.example;by=_x, for=10.0.0.9',
                b"\x01203.0.113.9, 10.0.0.9\n\x02https\n\x03a.example:81\n\x0481",
            ]
        case "ranges":
            return [b'\x10\0bytes=0-99\n"abc"', b"\x10\0bytes=-5", b'\x10\0bytes=9-\nW/"abc", "d"']
        case _:
            tag = b"ID3\4\0\0\0\0\0\2xx"
            heads = (b"RIFF\0\0\0\0WAVEfmt ", b"fLaC", b"OggS", b"\x1aE\xdf\xa3webm", b"\0\0\0\x18ftypM4A ")
            return [*heads, tag + b"\xff\xfb\x90\0", b"\xff\xf1", b"<svg>", "नमस्ते".encode()]


def _bundle(method: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        archive.writestr(MANIFEST, _manifest())
        archive.writestr(NAME, CONTENT)
    return target.getvalue()


def _manifest() -> bytes:
    digest = hashlib.sha256(CONTENT).hexdigest()
    sample = {"filename": "a.wav", "content_type": "audio/wav", "sha256": digest, "duration_ms": 1}
    consent = {"kind": "recording", "name": "Asha", "statement": {"text": "Yes"}}
    consent |= {"recording": NAME, "content_type": "audio/wav"}
    given = {
        "format": "awaaztwin-voice",
        "version": 1,
        "name": "Asha",
        "language": "hi",
        "aliases": ["A"],
        "description": "",
        "labels": {"a": "b"},
        "samples": [{**sample, "report": {}, "audio": NAME}],
        "embeddings": [{"engine": "E", "model": "m", "file": NAME}],
        "consent": consent,
        "files": [{"name": NAME, "size": len(CONTENT), "sha256": digest}],
    }
    return json.dumps(given).encode()


def main() -> None:
    """Fuzz the target that the first argument names; the second is a folder for what it finds."""
    name, corpus, *options = sys.argv[1:]
    folder = Path(corpus)
    for number, seed in enumerate(seeds(name)):
        (folder / f"seed-{number}").write_bytes(seed)
    target = TARGETS[name]
    atheris.Setup([sys.argv[0], str(folder), *options], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
