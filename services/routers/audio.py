"""``/audio``: kept audio, with ranges, and URLs that anybody may fetch for a while."""

import hmac
import re
import time
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from services.errors import ApiError, ErrorAnswer
from services.routers.admin import ANSWERS as ADMIN_ANSWERS
from services.routers.fields import ID, After, Id, Limit
from services.state import GatewayState, State
from services.tenancy.administration import not_found
from services.tenancy.caller import Caller
from services.tenancy.principal import Principal
from services.tenancy.scopes import Scope, access
from storage.objects.contract import InvalidRange, ObjectMissing, ObjectReader
from storage.repositories.outputs import OutputRepository
from storage.tables import Output

router = APIRouter(prefix="/audio", tags=["audio"])

ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    status: ADMIN_ANSWERS[status] for status in (400, 401, 403, 404, 503)
}

FILE_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    **ANSWERS,
    200: {
        "description": "The audio.",
        "content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}},
    },
    206: {"description": "The range that was asked for."},
    304: {"description": "The client has it already (`If-None-Match`)."},
    416: {"model": ErrorAnswer, "description": "The range begins after the end."},
}

LONGEST: Final = 7 * 24 * 3_600
"""Seconds a URL may be good; S3 signs none for longer."""

RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class UrlRequest(BaseModel):
    """What kind of URL is wanted."""

    model_config = ConfigDict(extra="forbid")

    expires_in: int = Field(default=3_600, ge=1, le=LONGEST, description="Seconds the URL is good.")


@router.get("", operation_id="listAudio", responses=ANSWERS)
@access(Scope.AUDIO)
async def list_audio(state: State, caller: Caller, after: After = None, limit: Limit = 100) -> dict[str, Any]:
    """The organisation's kept audio."""
    async with state.gate.read() as session:
        outputs = await OutputRepository(session, caller.org_id).list(after=after, limit=limit)
    return {
        "object": "list",
        "data": [_told(output) for output in outputs],
        "has_more": len(outputs) == limit,
    }


@router.api_route(
    "/{audio_id}",
    methods=["GET"],
    operation_id="getAudio",
    response_class=Response,
    responses=FILE_ANSWERS,
)
@router.api_route("/{audio_id}", methods=["HEAD"], include_in_schema=False)
@access(Scope.AUDIO, signed=True)
async def get_audio(
    audio_id: Id,
    state: State,
    request: Request,
    org: Annotated[str | None, Query(max_length=40, pattern=ID, description="Of a signed URL.")] = None,
    expires: Annotated[int | None, Query(ge=0, le=2**53, description="Of a signed URL.")] = None,
    signature: Annotated[
        str | None, Query(max_length=100, pattern=ID, description="Of a signed URL.")
    ] = None,
) -> Response:
    """Audio, or a range of it; with a key, or by a signed URL."""
    principal: Principal | None = getattr(request.state, "principal", None)
    if principal is None:
        org_id = await _signed_org(state, audio_id, org, expires, signature)
    else:
        org_id = principal.org_id
    output = await _output(state, org_id, audio_id)
    headers = {
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=3600",
        "content-disposition": f'inline; filename="{_filename(output)}"',
        "etag": f'"{output.etag}"',
    }
    if _matches(request.headers.get("if-none-match", ""), output.etag):
        return Response(status_code=304, headers=headers)
    asked, condition = request.headers.get("range", ""), request.headers.get("if-range")
    wanted = byte_range(asked, condition, size=output.size, etag=output.etag)
    try:
        reader = await state.objects.open(output.key, start=wanted[0], end=wanted[1])
    except ObjectMissing as error:
        raise not_found("audio", audio_id) from error
    except InvalidRange as error:
        answer = {"content-range": f"bytes */{error.size}"}
        raise ApiError(
            416, "The range begins after the end.", code="invalid_range", headers=answer
        ) from error
    headers["content-length"] = str(reader.length)
    partial = wanted != (0, None)
    if partial:
        last = reader.start + reader.length - 1
        headers["content-range"] = f"bytes {reader.start}-{last}/{reader.info.size}"
    status = 206 if partial else 200
    if request.method == "HEAD":
        await reader.chunks.aclose()
        return Response(status_code=status, headers=headers, media_type=output.content_type)
    return StreamingResponse(_chunks(reader), status, headers, media_type=output.content_type)


@router.delete("/{audio_id}", operation_id="deleteAudio", status_code=204, responses=ANSWERS)
@access(Scope.AUDIO)
async def delete_audio(audio_id: Id, state: State, caller: Caller) -> None:
    """Remove audio for good. URLs that were signed for it lead nowhere."""
    output = await _output(state, caller.org_id, audio_id)
    # The object first: should this fail between, the row still says what to delete.
    await state.objects.delete(output.key)
    async with state.gate.write() as session:
        await OutputRepository(session, caller.org_id).delete(audio_id)


@router.post("/{audio_id}/url", operation_id="signAudioUrl", responses=ANSWERS)
@access(Scope.AUDIO)
async def sign_audio_url(
    audio_id: Id, body: UrlRequest, state: State, caller: Caller, request: Request
) -> dict[str, Any]:
    """A URL that anybody may fetch the audio from until it expires."""
    output = await _output(state, caller.org_id, audio_id)
    expires = int(time.time()) + body.expires_in
    url = await state.objects.signed_url(output.key, seconds=body.expires_in, filename=_filename(output))
    if url is None:
        tokens = await state.gate.open()
        signature = tokens.signature(caller.org_id, audio_id, str(expires))
        query = urlencode({"org": caller.org_id, "expires": expires, "signature": signature})
        base = state.settings.server.public_url or request.state.base_url
        url = f"{base.rstrip('/')}/audio/{audio_id}?{query}"
    return {"id": audio_id, "object": "audio.url", "url": url, "expires_at": expires}


async def _signed_org(
    state: GatewayState, audio_id: str, org: str | None, expires: int | None, signature: str | None
) -> str:
    """The tenant of a signed URL.

    Raises:
        ApiError: 403, the signature is wrong or too old.
    """
    tokens = await state.gate.open()
    expected = tokens.signature(org or "", audio_id, str(expires or 0))
    if org is None or expires is None or not hmac.compare_digest(expected, signature or ""):
        raise ApiError(403, "The URL's signature is wrong.", code="invalid_signature")
    if expires < time.time():
        raise ApiError(403, "The URL has expired.", code="url_expired")
    return org


async def _output(state: GatewayState, org_id: str, audio_id: str) -> Output:
    async with state.gate.read() as session:
        output = await OutputRepository(session, org_id).get(audio_id)
    if output is None:
        raise not_found("audio", audio_id)
    return output


def byte_range(asked: str, condition: str | None, *, size: int, etag: str) -> tuple[int, int | None]:
    """The first byte that is wanted and the one after the last; what is no single range means all.

    RFC 9110, section 14.2: a server may ignore ranges it does not understand.

    Args:
        asked: The header ``Range``.
        condition: The header ``If-Range``.
        size: Of the object, in bytes.
        etag: The object's, without quotes.
    """
    match = RANGE.fullmatch(asked.replace(" ", ""))
    if match is None or match.group() == "bytes=-" or (condition and not _matches(condition, etag)):
        return 0, None
    first, last = match[1], match[2]
    if not first:
        return (max(0, size - int(last)), size) if int(last) else (size, None)
    end = int(last) + 1 if last else size
    return (0, None) if end <= int(first) < size else (int(first), min(end, size))


def _matches(header: str, etag: str) -> bool:
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")}
    return etag in tags or header.strip() == "*"


async def _chunks(reader: ObjectReader) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in reader.chunks:
            yield chunk
    finally:
        await reader.chunks.aclose()


def _filename(output: Output) -> str:
    return output.key.rpartition("/")[2]


def _told(output: Output) -> dict[str, Any]:
    return {
        "id": output.id,
        "object": "audio",
        "content_type": output.content_type,
        "size": output.size,
        "duration": output.duration_ms / 1000,
        "created_at": int(output.created_at.timestamp()),
        "expires_at": None if output.expires_at is None else int(output.expires_at.timestamp()),
    }
