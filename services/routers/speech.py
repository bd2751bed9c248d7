"""``POST /v1/audio/speech``: generates speech from text."""

from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from services.quota.allowed import Allowed
from services.routers.answers import SPEECH
from services.speech.response import respond
from services.speech.script import SpeechRequest
from services.speech.session import Reader
from services.state import State
from services.tenancy.caller import Caller
from services.tenancy.scopes import Scope, access

router = APIRouter(tags=["speech"])


PRINTABLE: Final = r"^[ -~\u00a0-\u00ff]*$"
"""Pattern of a header's value: Latin-1 without control characters."""


@router.post("/v1/audio/speech", response_class=Response, responses=SPEECH, operation_id="createSpeech")
@access(Scope.SPEECH, metered=True)
async def create_speech(
    request: SpeechRequest,
    state: State,
    caller: Caller,
    allowed: Allowed,
    http: Request,
    external_user: Annotated[
        str | None,
        Header(
            alias="x-openwebui-user-id",
            max_length=200,
            pattern=PRINTABLE,
            description="The id of the end user on whose behalf the client calls (sent by Open WebUI).",
        ),
    ] = None,
) -> Response:
    """Generate speech from text. The body has OpenAI's fields, plus this server's own."""
    reader = Reader(
        caller=caller, allowed=allowed, request_id=http.state.request_id, external_user=external_user
    )
    return await respond(
        request, reader, state.speaker, http.receive, spool=state.spool, settings=state.settings
    )
