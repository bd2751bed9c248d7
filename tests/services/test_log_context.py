"""Each line of a request says which one it is, wherever in the process it is logged."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from engines.contract import EngineUnavailable, Streamed, UnsupportedUtterance, Utterance
from engines.synthetic import SyntheticEngine
from services.log import JsonFormatter, TextFormatter
from services.log_context import (
    LogContext,
    RequestFields,
    handed_on,
    known_of,
    logged_as,
    note,
    request_id_in,
)
from services.middleware import RequestId, Unexpected
from services.probe import Probe
from services.runner.app import create_runner_app
from services.tasks import Chore, SingleFlight, in_thread, running
from services.wire.frames import Line, SynthesisCall

from logs import of_this_thread
from raw_http import connected, listening
from runners import client, engine, served

GET = b"GET / HTTP/1.1\r\nhost: a\r\nx-request-id: mine\r\n\r\n"
ALL = {"request_id": "req_1", "org": "org_1", "engine": "ESPEAK"}
logger = logging.getLogger("services.of_this_test")


def written(formatter: logging.Formatter, context: LogContext | None) -> str:
    """The line that a handler with the filter writes within a request."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    handler.addFilter(RequestFields())
    record = logging.LogRecord("services.x", logging.INFO, __file__, 1, "it %s", ("works",), None)
    if context is None:
        handler.handle(record)
    else:
        with logged_as(context):
            handler.handle(record)
    return stream.getvalue().removesuffix("\n")


@pytest.mark.parametrize(
    ("context", "end"),
    [
        (None, "services.x: it works"),
        (LogContext(), "services.x: it works"),
        (LogContext("req_1"), "services.x: it works [req_1]"),
        (LogContext("req_1", "org_1"), "services.x: it works [req_1 org=org_1]"),
        (LogContext(engine="ESPEAK"), "services.x: it works [engine=ESPEAK]"),
        (LogContext(**ALL), "services.x: it works [req_1 org=org_1 engine=ESPEAK]"),
    ],
)
def test_text_ends_with_what_is_known(context: LogContext | None, end: str) -> None:
    assert written(TextFormatter(), context).endswith(end)


@pytest.mark.parametrize("known", [{}, {"request_id": "req_1"}, {"org": "org_1"}, ALL])
def test_json_has_a_field_for_what_is_known(known: dict[str, str]) -> None:
    line = json.loads(written(JsonFormatter(), LogContext(**known)))
    assert line.pop("time")
    assert line == {"level": "info", "logger": "services.x", "message": "it works", **known}


def test_a_traceback_stands_below_the_request() -> None:
    try:
        raise ValueError  # noqa: TRY301 - what is logged
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("services.x", logging.ERROR, __file__, 1, "it failed", None, info)
    with logged_as(LogContext("req_1")):
        RequestFields().filter(record)
    first, *below = TextFormatter().format(record).splitlines()
    assert first.endswith("it failed [req_1]")
    assert below


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_values_are_short_and_harmless(formatter: logging.Formatter) -> None:
    line = written(formatter, LogContext(engine="\n2026-01-01 \x1b[2J" + "x" * 10_000))
    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) < 400


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 101, "\u00e9".encode(), b"a\n", b"[x]", b"a=b"])
def test_an_id_is_a_word(given: bytes) -> None:
    assert request_id_in([(b"x-request-id", given)]) is None
    assert request_id_in([(b"x-request-id", b"a.B_1-2")]) == "a.B_1-2"
    assert request_id_in([]) is None


async def test_what_becomes_known_later_is_known_to_all_tasks_of_the_request() -> None:
    begun, known = asyncio.Event(), asyncio.Event()

    async def learns() -> None:
        await begun.wait()
        note(org="org_1")
        note(engine="ESPEAK")
        known.set()

    async def waits() -> dict[str, str]:
        begun.set()
        await known.wait()
        return here()

    with logged_as(LogContext("req_1")):
        found, _ = await asyncio.gather(waits(), learns())
    assert found == ALL
    note(org="org_2")
    assert here() == {}


def here() -> dict[str, str]:
    """What a line that is logged now would say."""
    record = logging.LogRecord("services.x", logging.INFO, __file__, 1, "", None, None)
    RequestFields().filter(record)
    return known_of(record)


async def test_threads_of_a_request_are_of_it() -> None:
    with logged_as(LogContext("req_1")):
        assert await in_thread(here) == {"request_id": "req_1"}


async def test_work_that_a_request_starts_for_others_is_of_no_request() -> None:
    found: dict[str, dict[str, str]] = {}
    ended = asyncio.Event()

    async def probe() -> None:
        found["probe"] = here()

    async def flight() -> None:
        found["flight"] = here()

    async def chore() -> None:
        found["chore"] = here()
        ended.set()

    with logged_as(LogContext(**ALL)):
        await Probe(probe).check()
        await SingleFlight[None]().run("a", flight)
        async with running(Chore("chore", chore, every=60.0, at_once=True)):
            await ended.wait()
        assert here() == ALL
    assert found == {"probe": {}, "flight": {}, "chore": {}}


def test_a_request_is_handed_on_by_its_id() -> None:
    assert handed_on() == {}
    with logged_as(LogContext(org="org_1")):
        assert handed_on() == {}
    with logged_as(LogContext(**ALL)):
        assert handed_on() == {"x-request-id": "req_1"}


# What the layers of the app and the server below it say of an answer that is not completed.


async def half(scope: Scope, receive: Receive, send: Send) -> None:
    """Begin an answer."""
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})


async def cut(scope: Scope, receive: Receive, send: Send) -> None:
    await half(scope, receive, send)
    logger.warning("cut off, for a reason")


async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
    await half(scope, receive, send)
    raise ValueError("a defect")


async def waits(scope: Scope, receive: Receive, send: Send) -> None:
    await half(scope, receive, send)
    await asyncio.sleep(3_600)


@pytest.mark.parametrize(
    ("app", "line"),
    [
        (cut, "cut off, for a reason"),
        (breaks, "the request was cut off: it failed"),
        (waits, "the request was cut off: the server is stopping"),
    ],
)
async def test_an_answer_that_is_cut_off_is_one_line(
    app: ASGIApp, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with caplog.filtering(RequestFields()):
        async with listening(RequestId(Unexpected(app))) as port, connected(port) as client:
            await client.send(GET)
            assert b"half" in await client.reader.readuntil(b"half\r\n")
            if app is not waits:
                assert await client.ended()
    of_it = [record for record in of_this_thread(caplog) if known_of(record)]
    assert all(known_of(record) == {"request_id": "mine"} for record in of_it)
    said = [record.getMessage() for record in of_it if record.levelno > logging.INFO]
    assert said == [line]
    others = [record.getMessage() for record in of_this_thread(caplog) if not known_of(record)]
    assert not [message for message in others if "ASGI" in message]


async def test_an_exception_outside_all_layers_is_still_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(breaks) as port, connected(port) as client:
        await client.send(GET)
        await client.reader.read()
    assert "Exception in ASGI application" in caplog.text


# What a runner says of a call of the Gateway's.


class Defect(SyntheticEngine):
    """A plug-in that logs, in its event loop and in a thread, and then fails."""

    async def stream(self, batch: Sequence[Utterance]) -> AsyncGenerator[Streamed, None]:
        logger.info("speaks")
        await asyncio.to_thread(logger.info, "speaks in a thread")
        if len(batch) > 0:
            raise ValueError("a defect")
        yield 0, UnsupportedUtterance("never")


@pytest.mark.parametrize(("request_id", "known"), [("req_1", {"request_id": "req_1"}), ("no word", {})])
async def test_a_call_is_of_the_gateways_request(
    request_id: str, known: dict[str, str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    config = engine("PLUGIN")
    app = create_runner_app(config, lambda _, config: Defect(config))
    call = SynthesisCall(lines=(Line(text="Hello.", voice="tone", language="en"),), tenant="org_1")
    with caplog.filtering(RequestFields()):
        async with (
            served(app, tmp_path / "socket") as address,
            client(config, address) as runner,
        ):
            with logged_as(LogContext(request_id)), pytest.raises(EngineUnavailable, match="ValueError"):
                async for _ in runner.speak(call):
                    pass
    plugins = [record for record in caplog.records if known_of(record).get("engine") == "PLUGIN"]
    ours = [record for record in plugins if record.name != "uvicorn.access"]
    found = {record.getMessage(): known_of(record) for record in ours}
    expected = {**known, "org": "org_1", "engine": "PLUGIN"}
    assert found == {
        "speaks": expected,
        "speaks in a thread": expected,
        "the engine PLUGIN failed on a batch of 1": expected,
    }
