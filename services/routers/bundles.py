"""``/voices/{id}/export`` and ``/voices/import``: a voice as one file, to another server or back."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Send
from starlette.types import Scope as Connection

from services.errors import answers, invalid
from services.routers.answers import BINARY
from services.routers.fields import Id, Name
from services.routers.forms import checked, form_body, form_fields
from services.routers.owners import VoiceOwner
from services.state import State
from services.tenancy.scopes import Scope, access
from services.uploads import file_chunks, read_form
from services.voices.bundle import MEDIA_TYPE

router = APIRouter(prefix="/voices", tags=["voices"], responses=answers(404, 409, 429))


class ImportFields(BaseModel):
    """The name of an imported voice."""

    name: Name | None = Field(default=None, description="Another name for the voice.")


@router.get(
    "/{voice_id}/export",
    operation_id="exportVoice",
    response_class=Response,
    responses={
        200: {
            "description": "A zip of the voice with its recordings, consent and embeddings.",
            "content": {MEDIA_TYPE: {"schema": BINARY}},
        },
    },
)
@access(Scope.VOICES)
async def export_voice(voice_id: Id, state: State, owner: VoiceOwner) -> Response:
    """Export a voice as one file. Anyone who has the file can speak in that voice: keep it safe."""
    stack = AsyncExitStack()
    try:
        path = await stack.enter_async_context(state.transfer.export(owner, voice_id))
        headers = {
            "content-length": str((await asyncio.to_thread(path.stat)).st_size),
            "content-disposition": f'attachment; filename="{voice_id}.awaazvoice.zip"',
            "cache-control": "no-store",
        }
    except BaseException:
        await stack.aclose()
        raise
    return FileResponseOnce(stack, path, headers)


@router.post(
    "/import",
    operation_id="importVoice",
    status_code=201,
    openapi_extra=form_body({"bundle": BINARY, **form_fields(ImportFields)}, required=["bundle"]),
)
@access(Scope.VOICES, upload=True)
async def import_voice(state: State, owner: VoiceOwner, request: Request) -> dict[str, Any]:
    """Create a voice from an exported file, of this server or another."""
    async with read_form(request, state.uploads, max_files=1) as form:
        name = form.text("name")
        fields = checked(ImportFields, {} if name is None else {"name": name})
        uploads = await form.files("bundle")
        if not uploads:
            raise invalid("Send the exported voice as the file 'bundle'.", "bundle", "missing")
        voice = await state.transfer.import_(owner, uploads[0], name=fields.name)
    return (await state.voices.show(owner.org_id, [voice]))[0]


class FileResponseOnce(StreamingResponse):
    """Sends a file, and then removes it, also after a failure.

    Args:
        stack: Closed after sending; removes the file.
        path: Path of the file.
        headers: Headers of the response.
    """

    def __init__(self, stack: AsyncExitStack, path: Path, headers: Mapping[str, str]) -> None:
        super().__init__(file_chunks(path), 200, headers, media_type=MEDIA_TYPE)
        self._stack = stack

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Send the file."""
        async with self._stack:
            await super().__call__(scope, receive, send)
