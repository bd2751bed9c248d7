"""The answer to a speech request: audio, or server-sent events, sent while it is spoken.

The status is decided by the first audio: what fails before it is a clean error, what fails after it cuts
the connection (or, for events, sends an error event), so that nobody takes half a file for a whole one.
"""

import asyncio
import base64
import json
import logging
import math
import time
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
from services.quota.meter import Booking, Outcome
from services.sharing.outbox import Outbox
from services.speech.recording import Recording
from services.speech.script import Script
from services.speech.stream import Part, Sentence, SpeechStream
from services.tasks import until_hangup
from storage.errors import StorageError

logger = logging.getLogger(__name__)

FINISH_REASON_HEADER: Final = "x-finish-reason"
"""How the speech ended, where that is known before its first byte leaves: in answers that are sent whole."""

TOKENS_PER_SECOND: Final = 20
"""Output tokens of a second of audio: OpenAI's speech models give about 1,250 a minute."""

CLIENT_CLOSED: Final = 499
"""The status that proxies log for a client that closed before it was answered."""

CHARS_PER_TOKEN: Final = 4
"""Input characters of a token, OpenAI's rule of thumb."""


class SpeechResponse(Response):
    """Speaks a script to one client.

    Args:
        script: What to say.
        stream: Says it.
        sse: Send events instead of audio.
        outbox: What is spoken goes through it; it holds a place among the streams of this Gateway.
        booking: What it uses is booked here.
        recording: Keeps the audio, if it is kept.
        settings: What a client may ask for, and how long all of it may take.
    """

    def __init__(
        self,
        script: Script,
        stream: SpeechStream,
        *,
        sse: bool,
        outbox: Outbox,
        booking: Booking,
        recording: Recording | None = None,
        settings: Settings,
    ) -> None:
        super().__init__()
        # Several clients choose their decoder by the content type alone: it says exactly what is sent.
        self.headers["content-type"] = "text/event-stream" if sse else script.format.content_type
        self.headers["cache-control"] = "no-store"
        self.headers["x-accel-buffering"] = "no"
        del self.headers["content-length"]
        self._written = script.written
        self._characters = script.characters
        self._stream = stream
        self._sse = sse
        self._timings = script.call.timings
        self._outbox = outbox
        self._booking = booking
        self._recording = recording
        if recording is not None:
            self.headers["x-audio-id"] = recording.id
            self.headers["content-location"] = f"/audio/{recording.id}"
        self._asked = time.perf_counter()
        self._first: float | None = None
        self._client_timeout = settings.limits.client_stall_timeout_seconds
        self._timeout = settings.server.request_timeout_seconds
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak; stop as soon as the client hangs up."""
        with self._outbox.place:
            try:
                served = await until_hangup(self._speak(scope, receive, send), receive)
            finally:
                # Also when this is cancelled: what was spoken is booked, the rest given back.
                self._settle("hangup")
                if self._recording is not None:
                    await asyncio.shield(self._recording.abandon())
            if not served:
                logger.info("the client disconnected after %.1f s of audio", self._stream.seconds)
                if not self._started:
                    # Nobody reads it, but what stands around this app may wait for an answer.
                    await Response(status_code=CLIENT_CLOSED)(scope, receive, send)

    async def _speak(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def put(data: bytes) -> None:
            await self._send(send, data)

        try:
            async with asyncio.timeout(self._timeout), self._outbox.to(put) as outbox:
                try:
                    await self._say(outbox)
                except (EngineError, ApiError, StorageError) as raised:
                    self._settle("failed")
                    error = _answer(raised)
                    if not self._started:
                        await error.response()(scope, receive, send)
                        return
                    if not self._sse:
                        # An answer that is never completed is what tells the client that it was cut off.
                        logger.warning("speech was cut off: %s", error.body.message)
                        return
                    await outbox.put(_event({"type": "error", **error.content()}))
                    await outbox.drain()
                async with asyncio.timeout(self._client_timeout):
                    await self._send(send, b"", more=False)
        except TimeoutError:
            self._settle("failed")
            await self._timed_out(scope, receive, send)

    async def _say(self, outbox: Outbox) -> None:
        async with aclosing(self._events() if self._sse else self._audio()) as body:
            async for data in body:
                if data:
                    await self._booking.allow(self._stream.seconds)
                    await outbox.put(data)
        await outbox.drain()
        if self._recording is not None:
            await self._recording.finish(self._stream.seconds)
        # Before the last byte: a client that asks again at once finds its quota as it is.
        self._settle("ok")

    def _settle(self, outcome: Outcome) -> None:
        stream = self._stream
        spoken = self._characters if outcome == "ok" else stream.characters
        seconds = stream.seconds if self._started else 0.0
        self._booking.settle(outcome, characters=spoken, audio_seconds=seconds, latency=self._first)

    async def _timed_out(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._started:
            logger.warning("closed a connection after a timeout, %.1f s sent", self._stream.seconds)
            return
        message = f"The request took longer than {self._timeout:g} s."
        headers = retry_headers(1.0)
        error = ApiError(503, message, kind="server_error", code="timeout", headers=headers)
        await error.response()(scope, receive, send)

    async def _send(self, send: Send, data: bytes, *, more: bool = True) -> None:
        if not self._started:
            self._started = True
            if self._stream.complete:
                self.headers[FINISH_REASON_HEADER] = self._stream.ending.finish_reason
            self._first = time.perf_counter() - self._asked
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": data, "more_body": more})

    async def _audio(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._parts()) as parts:
            async for part in parts:
                yield part.data

    async def _parts(self) -> AsyncGenerator[Part, None]:
        async with aclosing(self._stream.parts()) as parts:
            async for part in parts:
                if self._recording is not None:
                    await self._recording.write(part.data)
                yield part

    async def _events(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._parts()) as parts:
            async for part in parts:
                if part.data:
                    audio = base64.b64encode(part.data).decode("ascii")
                    yield _event({"type": "speech.audio.delta", "audio": audio})
                if part.sentence and self._timings:
                    yield _event(_timestamps(part.sentence))
        yield _event({"type": "speech.audio.done", "usage": self._usage()})

    def _usage(self) -> dict[str, Any]:
        heard = math.ceil(self._written / CHARS_PER_TOKEN)
        spoken = math.ceil(self._stream.seconds * TOKENS_PER_SECOND)
        tokens = {"input_tokens": heard, "output_tokens": spoken, "total_tokens": heard + spoken}
        return {**tokens, **asdict(self._stream.ending)}


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
