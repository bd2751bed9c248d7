"""The response to a speech request: audio or server-sent events, streamed while the text is spoken.

A failure before the first audio results in an error response. A later failure cuts the connection, or sends
an error event if events were requested, so that a client cannot take incomplete audio for complete audio.
Each speech that is cut off is logged in one line, with the reason. If another component ends it, that
component logs it: the watch over callers' access, or the layer that notices that the server stops.
"""

import asyncio
import base64
import json
import logging
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from engines.contract import EngineError
from services.config import Settings
from services.errors import ApiError, from_engine, from_storage, retry_headers
from services.escaping import safe_json
from services.sharing.outbox import Outbox
from services.sharing.shares import Shares
from services.speech.script import SpeechRequest
from services.speech.session import Reader, Speaker, SpeechSession
from services.speech.stream import Sentence
from services.tasks import until_hangup
from storage.errors import StorageError

logger = logging.getLogger(__name__)

FINISH_REASON_HEADER: Final = "x-finish-reason"
"""Header with the finish reason; only in responses whose speech is complete before the first byte is sent."""

TOKENS_PER_SECOND: Final = 20
"""Output tokens per second of audio: OpenAI's speech models count about 1,250 per minute."""

CLIENT_CLOSED: Final = 499
"""HTTP status that proxies, such as nginx, log when the client disconnects before the response."""

CHARS_PER_TOKEN: Final = 4
"""Input characters per token, by OpenAI's rule of thumb."""


class SpeechResponse(Response):
    """Streams a speech session to one client.

    Args:
        session: The session.
        sse: Whether to send server-sent events instead of audio.
        spool: Buffer space in bytes for clients that read slowly, shared by tenants.
        settings: The settings, for the timeouts.
    """

    def __init__(self, session: SpeechSession, *, sse: bool, spool: Shares, settings: Settings) -> None:
        super().__init__()
        script = session.script
        # Some clients choose their decoder by the content type alone, so it must be exact.
        self.headers["content-type"] = "text/event-stream" if sse else script.format.content_type
        self.headers["cache-control"] = "no-store"
        self.headers["x-accel-buffering"] = "no"
        del self.headers["content-length"]
        if session.recording_id is not None:
            self.headers["x-audio-id"] = session.recording_id
            self.headers["content-location"] = f"/audio/{session.recording_id}"
        self._session = session
        self._sse = sse
        self._client_timeout = settings.limits.client_stall_timeout_seconds
        self._timeout = settings.server.request_timeout_seconds
        self._outbox = Outbox(session.place, spool, patience=self._client_timeout)
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the speech; stop as soon as the client disconnects."""
        # The session is settled even if this call is cancelled.
        async with self._session:
            if await until_hangup(self._speak(scope, receive, send), receive):
                return
        self._log_cut(logging.INFO, "the client disconnected")
        if not self._started:
            # The client has gone, but middleware may wait for a response.
            await Response(status_code=CLIENT_CLOSED)(scope, receive, send)

    async def _speak(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def put(data: bytes) -> None:
            await self._send(send, data)

        limit = asyncio.timeout(self._timeout)
        try:
            async with limit, self._outbox.to(put) as outbox:
                try:
                    await self._say(outbox)
                except (EngineError, ApiError, StorageError) as raised:
                    self._session.fail()
                    error = _answer(raised)
                    if not self._started:
                        await error.response()(scope, receive, send)
                        return
                    self._log_cut(logging.WARNING, error.body.message)
                    if not self._sse:
                        # The client recognises the cut by the incomplete response.
                        return
                    await outbox.put(_event({"type": "error", **error.content()}))
                    await outbox.drain()
                async with asyncio.timeout(self._client_timeout):
                    await self._send(send, b"", more=False)
        except TimeoutError:
            self._session.fail()
            await self._timed_out(scope, receive, send, late=limit.expired())

    async def _say(self, outbox: Outbox) -> None:
        async with aclosing(self._events() if self._sse else self._audio()) as body:
            async for data in body:
                await outbox.put(data)
        await outbox.drain()
        # Before the last byte, so that the client's next request sees the updated quota.
        await self._session.complete()

    async def _timed_out(self, scope: Scope, receive: Receive, send: Send, *, late: bool) -> None:
        message = f"The request took longer than {self._timeout:g} s."
        if self._started:
            stalled = f"The client did not read for {self._client_timeout:g} s."
            self._log_cut(logging.WARNING, message if late else stalled)
            return
        headers = retry_headers(1.0)
        error = ApiError(503, message, kind="server_error", code="timeout", headers=headers)
        await error.response()(scope, receive, send)

    def _log_cut(self, level: int, reason: str) -> None:
        logger.log(level, "speech was cut off: %s (after %.1f s of audio)", reason, self._session.seconds)

    async def _send(self, send: Send, data: bytes, *, more: bool = True) -> None:
        if not self._started:
            self._started = True
            if self._session.spoken:
                self.headers[FINISH_REASON_HEADER] = self._session.ending.finish_reason
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": data, "more_body": more})

    async def _audio(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._session.parts()) as parts:
            async for part in parts:
                if part.data:
                    yield part.data

    async def _events(self) -> AsyncGenerator[bytes, None]:
        timings = self._session.script.call.timings
        async with aclosing(self._session.parts()) as parts:
            async for part in parts:
                if part.data:
                    audio = base64.b64encode(part.data).decode("ascii")
                    yield _event({"type": "speech.audio.delta", "audio": audio})
                if part.sentence and timings:
                    yield _event(_timestamps(part.sentence))
        yield _event({"type": "speech.audio.done", "usage": self._usage()})

    def _usage(self) -> dict[str, Any]:
        heard = math.ceil(self._session.script.written / CHARS_PER_TOKEN)
        spoken = math.ceil(self._session.seconds * TOKENS_PER_SECOND)
        tokens = {"input_tokens": heard, "output_tokens": spoken, "total_tokens": heard + spoken}
        return {**tokens, **asdict(self._session.ending)}


async def respond(
    request: SpeechRequest,
    reader: Reader,
    speaker: Speaker,
    receive: Receive,
    *,
    spool: Shares,
    settings: Settings,
) -> Response:
    """Return the response to a speech request; all routes use it.

    Args:
        request: The request.
        reader: The caller and its allowance.
        speaker: Opens the session.
        receive: The connection's ``receive``; planning stops if the client disconnects.
        spool: Buffer space in bytes for clients that read slowly, shared by tenants.
        settings: The settings.

    Raises:
        ApiError: The request is invalid or exceeds a limit.
        EngineError: The process has no free stream for the tenant, or the engine is unavailable.
        StorageError: The database or the store is needed but unavailable.
    """
    session = await speaker.open(request, reader, present=lambda work: until_hangup(work, receive))
    if session is None:
        return Response(status_code=CLIENT_CLOSED)
    return SpeechResponse(session, sse=request.stream_format == "sse", spool=spool, settings=settings)


def _answer(error: EngineError | ApiError | StorageError) -> ApiError:
    if isinstance(error, EngineError):
        return from_engine(error)
    return from_storage(error) if isinstance(error, StorageError) else error


def _timestamps(sentence: Sentence) -> dict[str, Any]:
    return {
        "type": "speech.audio.timestamps",
        "text": sentence.text,
        "source": sentence.source,
        "start": round(sentence.start, 3),
        "end": round(sentence.end, 3),
        "words": [
            {
                "word": word.word,
                "start": round(word.start, 3),
                "end": round(word.end, 3),
                "offset": word.offset,
            }
            for word in sentence.words
        ],
    }


def _event(data: dict[str, Any]) -> bytes:
    return (
        b"data: " + safe_json(json.dumps(data, ensure_ascii=False, separators=(",", ":"))).encode() + b"\n\n"
    )
