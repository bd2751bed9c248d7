"""``POST /v1/audio/speech``: text in, audio out."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from services.audio.formats import FORMATS
from services.errors import answers
from services.quota.allowed import Allowed
from services.routers.events import event_stream
from services.speech.response import respond
from services.speech.script import SpeechRequest
from services.speech.session import Reader
from services.state import State
from services.tenancy.caller import Caller
from services.tenancy.scopes import Scope, access

router = APIRouter(tags=["speech"])

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}

ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The audio, streamed; or server-sent events with `stream_format: sse`.",
        "content": {
            **{audio_format.content_type: _BINARY for audio_format in FORMATS.values()},
            "text/event-stream": event_stream(),
        },
        "headers": {
            "X-Finish-Reason": {
                "description": "How the speech ended: `stop`, or why the engine ended it (`length`, "
                "`repetition`, `runaway`). Not in streamed audio; with events, in the last one.",
                "schema": {"type": "string"},
            }
        },
    },
    **answers(404),
}


PRINTABLE: Final = r"^[ -~\u00a0-\u00ff]*$"
"""A header's text, as Latin-1, without control characters."""


@router.post("/v1/audio/speech", response_class=Response, responses=ANSWERS, operation_id="createSpeech")
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
            description="The id of the customer the client acts for.",
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
