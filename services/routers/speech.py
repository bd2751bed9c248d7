"""``POST /v1/audio/speech``: text in, audio out."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from services.audio.formats import FORMATS
from services.errors import answers
from services.quota.allowed import Allowed
from services.quota.limits import Allowance
from services.quota.meter import Demand
from services.routers.events import event_stream
from services.sharing.outbox import Outbox
from services.sharing.places import take_place
from services.speech.recording import Recording
from services.speech.response import CLIENT_CLOSED, SpeechResponse
from services.speech.script import Script, SpeechRequest, write_script
from services.speech.stream import SpeechStream
from services.state import GatewayState, State
from services.tasks import until_hangup
from services.tenancy.caller import Caller
from services.tenancy.principal import Principal
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
    return await speak(request, state, caller, allowed, http, external_user=external_user)


async def speak(
    request: SpeechRequest,
    state: GatewayState,
    caller: Principal,
    allowed: Allowance,
    http: Request,
    *,
    external_user: str | None = None,
) -> Response:
    """The answer to a speech request, whichever route it came by; it is booked as one.

    Raises:
        ApiError: The request is at fault, or over a limit.
        EngineOverloaded: The tenant may have no more streams of this Gateway now.
        EngineUnavailable: Nothing is known of the engine, and it does not answer.
        StorageError: A part that the request needs is away.
    """
    place = take_place(state.places, "streams", caller.org_id, allowed.weight)
    try:
        script = await _script(request, state, caller, allowed, http)
        if script is None:
            place.release()
            return Response(status_code=CLIENT_CLOSED)
        if request.store:
            # A store that is away is told now, not when everything is spoken.
            await state.objects.ping()
        booking = await state.meter.reserve(
            caller,
            allowed.limits,
            Demand(
                kind="speech",
                engine=script.cast.client.name,
                voice=script.cast.voice_id or request.voice_id,
                characters=script.characters,
                audio_seconds=script.audio_seconds,
                request_id=http.state.request_id,
                external_user=external_user,
            ),
        )
    except BaseException:
        place.release()
        raise
    recording = None
    if request.store:
        recording = Recording(
            state.objects,
            state.gate,
            caller,
            limits=allowed.limits,
            retention=state.settings.retention,
            audio=script.format,
        )
    stream = SpeechStream(
        script,
        max_seconds=state.settings.limits.max_audio_seconds,
        metrics=state.metrics,
        turns=state.turns,
    )
    return SpeechResponse(
        script,
        stream,
        sse=request.stream_format == "sse",
        outbox=Outbox(place, state.spool, patience=state.settings.limits.client_stall_timeout_seconds),
        booking=booking,
        recording=recording,
        settings=state.settings,
    )


async def _script(
    request: SpeechRequest, state: GatewayState, caller: Principal, allowed: Allowance, http: Request
) -> Script | None:
    """What will be spoken; ``None`` when the client left meanwhile."""
    written: list[Script] = []

    async def write() -> None:
        script = await write_script(
            request,
            state.casting,
            state.settings,
            state.planner,
            tenant=caller.org_id,
            weight=allowed.weight,
        )
        written.append(script)

    return written[0] if await until_hangup(write(), http.receive) else None
