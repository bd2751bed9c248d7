"""Logs that hold what strangers wrote: a record is a line, and nothing in it steers a terminal."""

import io
import json
import logging
import re
from collections.abc import Generator

import httpx
import pytest

from services.config import Settings
from services.config.sections import ServerConfig
from services.escaping import escaped, safe_json
from services.log import configure_logging

from live import Server, eventually

FORGED = "2026-01-01 00:00:00,000 INFO    awaaztwin.access: GET /admin 200"
HOSTILE = (
    *("a\nb", "a\r\nb", "a\rb", "\x1b[2J\x1b[31mred", "\x00", "\x7f", "\x85next", "\x9b31m"),
    *("\u2028line", "\u2029paragraph", "\u202eesrever", "\u2066isolate\u2069", "\ud800", "\udc80\ufeff"),
)


@pytest.fixture
def logged() -> Generator[io.TextIOWrapper, None, None]:
    """What the loggers write, as strict UTF-8; everything is as before at the end."""
    loggers = [
        logging.root,
        *(one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)),
    ]
    before = [(one, list(one.handlers), one.level, one.propagate) for one in loggers]
    formats = {handler: handler.formatter for one in loggers for handler in one.handlers}
    yield io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict", write_through=True)
    for one, handlers, level, propagate in before:
        one.handlers, one.propagate = handlers, propagate
        one.setLevel(level)
    for handler, formatter in formats.items():
        handler.setFormatter(formatter)
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(None)


def configured(stream: io.TextIOWrapper, log_format: str) -> logging.Logger:
    configure_logging(Settings.model_validate({"server": {"log_format": log_format}}))
    logger = logging.getLogger("services")
    handler = logger.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    return logger


def text_of(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_message_is_one_harmless_line(
    logged: io.TextIOWrapper, hostile: str, log_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", True)
    configured(logged, log_format).warning("got %s", f"{hostile}\n{FORGED}")
    text = text_of(logged)
    assert text.endswith("\n")
    assert escaped(text[:-1]) == text[:-1]
    if log_format == "json":
        assert json.loads(text)["message"].startswith("got ")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_is_readable_and_forges_nothing(logged: io.TextIOWrapper, log_format: str) -> None:
    logger = configured(logged, log_format)
    try:
        raise ValueError(f"no such voice\n{FORGED}\x1b[2J")  # noqa: TRY301 - what is logged
    except ValueError:
        logger.exception("failed")
    lines = text_of(logged).splitlines()
    if log_format == "json":
        exception = json.loads(lines[0])["exception"]
        assert len(lines) == 1
        assert "ValueError: no such voice\n" in exception
        assert "\x1b" not in exception
        return
    assert lines[0].endswith("services: failed")
    assert "    ValueError: no such voice" in lines
    assert f"    {FORGED}\\x1b[2J" in lines
    assert [line for line in lines if re.match(r"\d{4}-", line)] == lines[:1]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_handlers_of_others_write_as_ours_do(logged: io.TextIOWrapper, log_format: str) -> None:
    """BentoML and uvicorn have handlers of their own."""
    other = logging.getLogger("uvicorn.error")
    other.handlers = [logging.StreamHandler(logged)]
    other.propagate = False
    configure_logging(Settings(server=ServerConfig.model_validate({"log_format": log_format})))
    other.warning("Invalid\n%s", FORGED)
    assert text_of(logged).count("\n") == 1


def test_scripts_are_left_alone() -> None:
    text = "नमस्ते क्‍ष क्‌ष 日本語 emoji 👩‍👩‍👧 C:\\temp"
    assert escaped(text) == text


def test_a_path_forges_no_line(server: Server) -> None:
    forged = "2026-01-01%2000:00:00,000%20INFO%20%20%20%20awaaztwin.access:%20GET%20/admin%20200"
    httpx.get(f"{server.url}/nowhere%0A{forged}%1B[2J%E2%80%AE%C2%85")
    eventually(lambda: "/nowhere" in server.log.read_text(errors="replace"))
    log = server.log.read_bytes().decode()
    assert not [line for line in log.splitlines() if line.startswith(FORGED)]
    assert f"/nowhere\\n{FORGED}\\x1b[2J\\u202e\\x85 404" in log


@pytest.mark.parametrize("given", [b"asha\x1b[2J", b"a\x7fb", b"a\x85b"])
def test_a_user_of_a_client_is_printable(server: Server, given: bytes) -> None:
    """It is kept, and shown in lists and CSV."""
    answer = httpx.post(
        f"{server.api}/audio/speech",
        json={"input": "Hello."},
        headers={b"x-openwebui-user-id": given},
        timeout=60,
    )
    # Some servers in front of ours refuse such a header by themselves.
    assert answer.status_code == 400


@pytest.mark.parametrize("given", ["a b", "x" * 101, "\u00e9", "<script>"])
def test_a_request_id_is_a_word(server: Server, given: str) -> None:
    answer = httpx.get(f"{server.url}/health/live", headers={b"x-request-id": given.encode("latin-1")})
    assert answer.headers["x-request-id"].startswith("req_")


def test_json_for_readers_of_lines() -> None:
    """Clients split events at more than the two characters that end a line in HTTP."""
    text = safe_json(json.dumps({"text": "a\u2028b\x85c\u202e नमस्ते"}, ensure_ascii=False))
    assert len(text.splitlines()) == 1
    assert "नमस्ते" in text
    assert json.loads(text)["text"] == "a\u2028b\x85c\u202e नमस्ते"
