"""``/audio``: stored audio, with ranges, and signed URLs."""

import hmac
import re
import time
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from services.errors import ApiError, answers, not_found
from services.log_context import note
from services.routers.answers import AUDIO
from services.routers.fields import ID, After, Id, Limit, page
from services.state import GatewayState, State
from services.tenancy.caller import Caller
from services.tenancy.principal import Principal
from services.tenancy.scopes import Scope, access
from services.tokens import Claims, Tokens
from storage.objects.contract import InvalidRange, ObjectMissing
from storage.repositories.outputs import OutputRepository
from storage.tables import Output

router = APIRouter(prefix="/audio", tags=["audio"], responses=answers(404))

FILE_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The audio.",
        "content": AUDIO,
    },
    206: {"description": "The requested range."},
    304: {"description": "Not modified (`If-None-Match`)."},
    **answers(416),
}

MAX_URL_SECONDS: Final = 7 * 24 * 3_600
"""Maximum validity of a URL in seconds; the same as S3's."""

KEY: Final = "key_"
"""Prefix of the IDs of keys."""

RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class UrlRequest(BaseModel):
    """Options of a signed URL."""

    model_config = ConfigDict(extra="forbid")

    expires_in: int = Field(
        default=3_600, ge=1, le=MAX_URL_SECONDS, description="Seconds until the URL expires."
    )


@router.get("", operation_id="listAudio")
@access(Scope.AUDIO)
async def list_audio(state: State, caller: Caller, after: After = None, limit: Limit = 100) -> dict[str, Any]:
    """List the organisation's stored audio."""
    async with state.gate.read() as session:
        outputs = await OutputRepository(session, caller.org_id).list(after=after, limit=limit)
    return page([_told(output) for output in outputs], limit)


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
    org: Annotated[str | None, Query(max_length=40, pattern=ID, description="Part of a signed URL.")] = None,
    by: Annotated[str | None, Query(max_length=40, pattern=ID, description="Part of a signed URL.")] = None,
    expires: Annotated[int | None, Query(ge=0, le=2**53, description="Part of a signed URL.")] = None,
    signature: Annotated[
        str | None, Query(max_length=100, pattern=ID, description="Part of a signed URL.")
    ] = None,
) -> Response:
    """Download audio, or a range of it, with a key or through a signed URL."""
    principal: Principal | None = getattr(request.state, "principal", None)
    if principal is None:
        signed = _Signed(audio_id, org or "", by or "", expires or 0)
        principal = await _signer(state, signed, signature or "")
        # Checked from here on like a request with a key.
        request.state.principal = principal
        note(org=principal.org_id)
    output = await _output(state, principal.org_id, audio_id)
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
            416, "The range begins after the end of the audio.", code="invalid_range", headers=answer
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
    return StreamingResponse(reader.chunks, status, headers, media_type=output.content_type)


@router.delete("/{audio_id}", operation_id="deleteAudio", status_code=204)
@access(Scope.AUDIO)
async def delete_audio(audio_id: Id, state: State, caller: Caller) -> None:
    """Delete audio permanently; its signed URLs stop working."""
    output = await _output(state, caller.org_id, audio_id)
    # The object first: if this fails halfway, the row still names what to delete.
    await state.objects.delete(output.key)
    async with state.gate.write() as session:
        await OutputRepository(session, caller.org_id).delete(audio_id)


@router.post("/{audio_id}/url", operation_id="signAudioUrl", summary="Sign Audio URL")
@access(Scope.AUDIO)
async def sign_audio_url(
    audio_id: Id, body: UrlRequest, state: State, caller: Caller, request: Request
) -> dict[str, Any]:
    """Sign a URL that needs no key. It works until it expires, or its signer's key or account ends."""
    await _output(state, caller.org_id, audio_id)
    expires = int(time.time()) + body.expires_in
    signed = _Signed(audio_id, caller.org_id, caller.key_id or caller.user_id or "", expires)
    query = {"org": signed.org_id, **({"by": signed.by} if signed.by else {}), "expires": expires}
    signature = signed.signature(await state.token_signer.tokens())
    base = state.settings.server.public_url or request.state.base_url
    url = f"{base.rstrip('/')}/audio/{audio_id}?{urlencode({**query, 'signature': signature})}"
    return {"id": audio_id, "object": "audio.url", "url": url, "expires_at": expires}


@dataclass(frozen=True, slots=True)
class _Signed:
    """The contents of a signed URL: audio, tenant, signing key or user, and expiry."""

    audio_id: str
    org_id: str
    by: str
    expires: int

    def signature(self, tokens: Tokens) -> str:
        return tokens.signature(self.org_id, self.by, self.audio_id, str(self.expires))

    @property
    def claims(self) -> Claims:
        """Claims of the signer: a key, a user, or neither on a server without authentication."""
        key = self.by.startswith(KEY)
        return Claims(
            org_id=self.org_id,
            key_id=self.by if key else None,
            user_id=self.by if self.by and not key else None,
        )


async def _signer(state: GatewayState, signed: _Signed, signature: str) -> Principal:
    """Return the signer of a URL, if it still has access to audio.

    Raises:
        ApiError: 403, the signature is invalid or expired, or the signer lost its access.
    """
    if not hmac.compare_digest(signed.signature(await state.token_signer.tokens()), signature):
        raise ApiError(403, "The URL's signature is invalid.", code="invalid_signature")
    if signed.expires < time.time():
        raise ApiError(403, "The URL has expired.", code="url_expired")
    try:
        signer = await state.authenticator.signer(signed.claims)
    except ApiError as error:
        raise ApiError(403, "The URL was withdrawn.", code="url_withdrawn") from error
    if Scope.AUDIO not in signer.scopes:
        raise ApiError(403, "The URL was withdrawn.", code="url_withdrawn")
    return signer


async def _output(state: GatewayState, org_id: str, audio_id: str) -> Output:
    async with state.gate.read() as session:
        output = await OutputRepository(session, org_id).get(audio_id)
    if output is None:
        raise not_found("audio", audio_id)
    return output


def byte_range(asked: str, condition: str | None, *, size: int, etag: str) -> tuple[int, int | None]:
    """Return the start and exclusive end of a range, as byte indices; ``(0, None)`` for the whole object.

    Anything but a single valid range is ignored, as RFC 9110, section 14.2, allows.

    Args:
        asked: The ``Range`` header.
        condition: The ``If-Range`` header.
        size: Size of the object in bytes.
        etag: ETag of the object, without quotes.
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
