"""A runner's routes for prepared voices.

::

    PUT    /runner/voices/{id}   safetensors → 204; hold a voice
    DELETE /runner/voices/{id}   204, also for an unknown voice; erase a voice
    POST   /runner/prepare       frames → safetensors; a disconnect cancels the preparation

Errors are JSON (:class:`services.wire.frames.Failure`).
"""

import asyncio
import re
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from engines.contract import EngineError, EngineOverloaded, EngineUnavailable, UnsupportedUtterance
from engines.embedding import LARGEST, MEDIA_TYPE, BrokenEmbedding, unpack
from services.runner.held_voices import HeldVoices, VoiceRefused
from services.runner.preparing import EnginePreparer
from services.tasks import in_thread, until_hangup
from services.wire.frames import (
    BODY_TIMEOUT_SECONDS,
    MISSED_HEADER,
    PREPARE_PATH,
    VOICE_ID,
    VOICES_PATH,
    BrokenStream,
    Failure,
)
from services.wire.sample_frames import RecordingsReader

_COUNT: Final = re.compile(r"[0-9]{1,19}")


def voice_routes(voices: HeldVoices, preparer: EnginePreparer) -> list[Route]:
    """Return the routes for prepared voices.

    Args:
        voices: The voices that the runner holds.
        preparer: Prepares voices from recordings.
    """
    one = _Voice(voices)
    return [
        Route(f"{VOICES_PATH}/{{id}}", one.put, methods=["PUT"]),
        Route(f"{VOICES_PATH}/{{id}}", one.delete, methods=["DELETE"]),
        Route(PREPARE_PATH, _Preparation(preparer), methods=["POST"]),
    ]


class _Voice:
    def __init__(self, voices: HeldVoices) -> None:
        self._voices = voices

    async def put(self, request: Request) -> Response:
        try:
            voice_id, missed = _id_of(request), _missed_of(request)
            voice = await in_thread(unpack, await _body_of(request))
            self._voices.put(voice_id, voice, missed=missed)
        except (TimeoutError, ClientDisconnect):
            return _failed(408, "too_slow", "The voice did not arrive in time.")
        except BrokenEmbedding as error:
            return _failed(400, "broken_voice", f"The voice cannot be read: {error}.")
        except VoiceRefused as error:
            return _failed(error.status, error.code, error.message)
        return Response(status_code=204)

    async def delete(self, request: Request) -> Response:
        try:
            self._voices.drop(_id_of(request))
        except VoiceRefused as error:
            return _failed(error.status, error.code, error.message)
        except EngineUnavailable as error:
            return _of(error)
        return Response(status_code=204)


def _id_of(request: Request) -> str:
    voice_id: str = request.path_params["id"]
    if not VOICE_ID.fullmatch(voice_id):
        raise VoiceRefused(400, "bad_voice_id", "This is not the id of a prepared voice.")
    return voice_id


def _missed_of(request: Request) -> int | None:
    given = request.headers.get(MISSED_HEADER)
    if given is None:
        return None
    if not _COUNT.fullmatch(given):
        raise VoiceRefused(400, "bad_voice_count", f"The header {MISSED_HEADER} is not a count.")
    return int(given)


async def _body_of(request: Request) -> bytes:
    body = bytearray()
    async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
        async for piece in request.stream():
            body += piece
            if len(body) > LARGEST:
                raise VoiceRefused(413, "voice_too_large", f"A voice has at most {LARGEST} bytes.")
    return bytes(body)


class _Preparation:
    """The route that prepares a voice; an ASGI app, so that it can detect a disconnect meanwhile."""

    def __init__(self, preparer: EnginePreparer) -> None:
        self._preparer = preparer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def prepare(reader: RecordingsReader) -> None:
            try:
                data = await self._preparer.prepare(await in_thread(reader.finish))
                answer = Response(data, media_type=MEDIA_TYPE)
            except BrokenStream as error:
                answer = _broken(error)
            except EngineError as error:
                answer = _of(error)
            await answer(scope, receive, send)

        try:
            with self._preparer.place():
                reader = RecordingsReader()
                async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
                    async for piece in Request(scope, receive).stream():
                        reader.feed(piece)
                await until_hangup(prepare(reader), receive)
                return
        except (TimeoutError, ClientDisconnect):
            answer = _failed(408, "too_slow", "The recordings did not arrive in time.")
        except BrokenStream as error:
            answer = _broken(error)
        except EngineError as error:
            answer = _of(error)
        await answer(scope, receive, send)


def _broken(error: BrokenStream) -> Response:
    return _failed(400, "broken_call", f"The recordings cannot be read: {error}.")


def _failed(status: int, code: str, message: str) -> Response:
    return _answer(status, Failure(code=code, message=message))


def _of(error: EngineError) -> Response:
    match error:
        case UnsupportedUtterance():
            status = 422
        case EngineOverloaded():
            status = 429
        case _:
            status = 503
    return _answer(status, Failure.of(error))


def _answer(status: int, failure: Failure) -> Response:
    return Response(failure.model_dump_json(), status, media_type="application/json")
