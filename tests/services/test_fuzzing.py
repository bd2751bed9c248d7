"""Parsers of what strangers send, fuzzed with coverage: only errors that become answers come out."""

import os
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from services.config import QuotaConfig
from services.errors import ApiError
from services.quota.limits import allowance
from services.shares import Shares
from services.tenancy.authenticator import LOCAL
from services.uploads import read_form

SECONDS = int(os.environ.get("AWAAZTWIN_TEST_FUZZ_SECONDS", "15"))
"""For each target; more find more."""

SEED = os.environ.get("AWAAZTWIN_TEST_FUZZ_SEED", "1")

PROGRAM = Path(__file__).parents[1] / "support" / "fuzzing.py"


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 900)
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this system")
@pytest.mark.parametrize("target", ["bundle", "manifest", "form", "proxies", "ranges", "sample"])
def test_nothing_unexpected_comes_out(target: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    # An input that hangs, or takes much memory, is a finding; 100 s are far more than a busy machine needs.
    limits = [f"-max_total_time={SECONDS}", "-timeout=100", "-rss_limit_mb=2048", "-max_len=8192"]
    command = [sys.executable, str(PROGRAM), target, str(corpus), f"-seed={SEED}", *limits]
    done = subprocess.run(
        [*command, f"-artifact_prefix={tmp_path}/"],
        env={**os.environ, "PYTHONHASHSEED": "0", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS + 600,
        check=False,
    )
    found = [path.read_bytes() for path in tmp_path.glob("*-*") if path.is_file()]
    assert (done.returncode, found) == (0, []), done.stderr[-4_000:]


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
