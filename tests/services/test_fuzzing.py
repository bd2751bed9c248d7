"""Parsers of what strangers send, fuzzed with coverage: only errors that become answers come out."""

from contextlib import suppress
from pathlib import Path

import pytest
from fuzzers import fuzz, in_time, with_atheris
from starlette.requests import Request
from starlette.types import Message

from services.config import QuotaConfig
from services.errors import ApiError
from services.quota.limits import allowance
from services.sharing.shares import Shares
from services.tenancy.authenticator import LOCAL
from services.uploads import read_form


@pytest.mark.slow
@in_time
@with_atheris
@pytest.mark.parametrize("target", ["bundle", "manifest", "form", "proxies", "ranges", "sample"])
def test_nothing_unexpected_comes_out(target: str, tmp_path: Path) -> None:
    fuzz("fuzzing.py", target, tmp_path, longest=8192)


@pytest.mark.parametrize("charset", ["hex", "zlib", "rot13", "idna", "utf-7", "undefined", "no-such", "u\0"])
async def test_charsets_that_are_none(charset: str) -> None:
    """Python knows codecs that make no text, and stumbles over some names of them."""
    body = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nAsha \xff.\xff\r\n--x--\r\n'
    kind = f"multipart/form-data; boundary=x; charset={charset}".encode()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    request = Request({"type": "http", "method": "POST", "headers": [(b"content-type", kind)]}, receive)
    request.state.principal = LOCAL
    request.state.allowance = allowance(LOCAL, QuotaConfig())
    with suppress(ApiError):
        async with read_form(request, Shares(2**20, sole=True), max_files=1) as form:
            assert form.text("name")
